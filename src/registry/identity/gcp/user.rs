//! The refresh token of a person, as `gcloud auth application-default login` writes it ("Using OAuth 2.0 for Web Server
//! Applications", "Refreshing an access token").

use serde::Deserialize;

use super::{AccessToken, Answer, OAUTH, OAUTH_PATH};
use crate::registry::identity::context::Context;
use crate::registry::identity::service::{Content, Errand};
use crate::secret::Secret;
use crate::store::StoreError;

#[derive(Deserialize)]
pub(super) struct User {
    client_id: String,
    client_secret: String,
    refresh_token: String,
}

impl User {
    pub(super) async fn token(&self, context: &Context<'_>) -> Result<AccessToken, StoreError> {
        let secrets = [&self.client_secret, &self.refresh_token];
        let [secret, refresh] = secrets.map(|secret| context.hidden(Secret::new(secret)));
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", self.client_id.as_str()),
            ("client_secret", secret.expose()),
            ("refresh_token", refresh.expose()),
        ];
        let errand = Errand {
            host: OAUTH,
            path: OAUTH_PATH,
            content: Content::Form(&form),
            bearer: None,
            secrets: &[&secret, &refresh],
        };
        let answer: Answer = context.services.ask(errand, "an access token", context).await?;
        Ok(answer.token(context))
    }
}
