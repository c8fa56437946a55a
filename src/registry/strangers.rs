//! Registries that refuse strangers with a 403 or a 404 and do not ask who they are, as zot does with an anonymous policy
//! and Harbor with private projects.
//!
//! A credential that there is for such a registry was never shown. How it wants to be shown is what the front page says
//! (distribution-spec, "Determining Support"), which is read once a run; from then on it is sent with each request. It goes
//! where it would go after a 401, and nowhere else.

use futures::future::BoxFuture;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, Method, StatusCode};
use tokio::sync::OnceCell;

use super::call::Call;
use super::client::Client;
use crate::store::StoreError;

/// What the front page says of how to log in, once it was asked.
pub(super) type FrontPage = OnceCell<HeaderMap>;

/// As whom a request was sent, for what is said of its refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Shown {
    /// With a credential, or to another host, which is shown none.
    #[default]
    Account,
    /// Without the one that there is: the registry does not say how to show it.
    Withheld,
    /// Without any: there is none.
    Nobody,
}

/// Whether an answer can mean that strangers are refused.
pub(super) fn may_hide(status: StatusCode) -> bool {
    matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
}

impl Client {
    /// Whether a request that was refused without a login may succeed with the one that there is. `headers` are those of
    /// the refusal, which can say how to log in itself.
    pub(super) async fn opens_with_login(
        &self,
        call: &Call,
        headers: &HeaderMap,
    ) -> Result<bool, StoreError> {
        if !self.auth.is_known(&call.scopes).await? {
            return Ok(false);
        }
        // Another request may have found out meanwhile.
        if self.auth.authorization(self, &call.scopes).await?.is_some() {
            return Ok(true);
        }
        if self.auth.challenged(headers, None, &call.scopes).await? {
            return Ok(true);
        }
        let front = self.front_page.get_or_try_init(|| self.ask_front_page(call)).await?;
        self.auth.challenged(front, None, &call.scopes).await
    }

    /// Whatever its status: zot says with a 200 how to log in.
    /// Boxed, since it is a request on behalf of a request.
    fn ask_front_page<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<HeaderMap, StoreError>> {
        Box::pin(async move {
            let ask = Call::new(Method::GET, self.url(""), call.operation, call.reference.clone());
            let answer = self.send_unauthenticated(&ask).await?;
            let mut said = HeaderMap::new();
            for challenge in answer.headers.get_all(WWW_AUTHENTICATE) {
                said.append(WWW_AUTHENTICATE, challenge.clone());
            }
            // Its connection goes on once it is read.
            drop(answer.error_body().await);
            Ok(said)
        })
    }

    /// As whom a request was sent that a registry refuses.
    pub(super) async fn shown(&self, call: &Call, with_login: bool) -> Result<Shown, StoreError> {
        Ok(match (self.auth.is_known(&call.scopes).await?, with_login) {
            (true, true) => Shown::Account,
            (true, false) => Shown::Withheld,
            (false, _) => Shown::Nobody,
        })
    }
}
