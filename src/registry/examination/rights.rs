//! Who we are at a registry, and what we may do in a repository, as far as questions tell.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;

use super::super::Scope;
use super::{Area, Examiner, Findings, Front, State, said};
use crate::oci::{Digest, Repository, Tag};
use crate::store::{StoreError, StoreErrorKind};

/// So many tags are asked for: one would do, and some registries mind so few.
const TAGS: &str = "10";

/// No list of so few tags is longer.
const TAGS_BYTES: usize = 64 * 1024;

/// What was seen of the repository.
#[derive(Default)]
pub(super) struct Seen {
    /// Some manifest.
    pub(super) manifest: Option<Digest>,
    /// Whether it is known to be there.
    pub(super) exists: bool,
}

/// What the list of tags said.
enum Listed {
    /// Some tag, if there is any.
    Tags(Option<Tag>),
    /// There is no such repository, or none for us.
    NoRepository,
    /// It is no help.
    Nothing,
}

impl Examiner<'_> {
    /// Logs in with what was found, without asking for a right. False if that failed.
    pub(super) async fn log_in(&self, findings: &mut Findings, front: &Front) -> bool {
        const NAME: &str = "login";
        if !front.wants_login && (!front.takes_login || self.credential.is_none()) {
            findings.needs_no_login = true;
            return true;
        }
        if self.credential.is_none() {
            if front.has_tokens {
                findings.needs_no_login = true;
                return true;
            }
            let message = "it wants user and password, and there are none";
            let advice = format!("`docker login {}`, or a credential helper for it", self.subject.registry);
            if self.subject.repository.is_some() {
                // Its repositories may be open to strangers all the same.
                let message = format!("{message}: what follows is what strangers may do");
                findings.advise(Area::Login, NAME, State::No, message, advice);
                return true;
            }
            let advice = format!("{advice}; or name a repository that is open to strangers");
            findings.advise(Area::Login, NAME, State::Failed, message, advice);
            return false;
        }
        let call = self.call(Method::GET, "", "log in to");
        let client = &self.remote.client;
        if !front.wants_login {
            // Nobody asks for the login, so that it would not be tried.
            let shown = client.opens_with_login(&call, &http::HeaderMap::new()).await;
            if let Err(error) = shown {
                findings.add(Area::Login, NAME, State::Failed, said(&error));
                return false;
            }
        }
        let refused = match client.send(&call).await {
            Ok(answer) if matches!(answer.status.as_u16(), 401 | 403) => said(&answer.into_error().await),
            Ok(_) => {
                findings.add(Area::Login, NAME, State::Ok, "the credentials are accepted");
                return true;
            }
            Err(error) => said(&error),
        };
        findings.add(Area::Login, NAME, State::Failed, refused);
        false
    }

    /// What may be done in the repository, and what is there.
    pub(super) async fn rights(&self, findings: &mut Findings, front: &Front) -> Seen {
        let Some(repository) = &self.subject.repository else { return Seen::default() };
        let listed = self.tags(findings, repository).await;
        // Some registries list no tags of a repository that is not there.
        let has_tags = matches!(listed, Listed::Tags(Some(_)));
        let manifest = self.pull(findings, repository, listed).await;
        let granted = self.granted(repository, "pull,push", front).await;
        let state = |granted: &Granted| match granted {
            Granted::Yes => (State::Ok, "the token has the right to push".to_owned()),
            Granted::No => (State::No, "the token has no right to push".to_owned()),
            Granted::Refused(message) => (State::No, format!("no token for a push: {message}")),
            Granted::Untold => (State::Unknown, "only a try tells".to_owned()),
        };
        let (state, message) = state(&granted);
        if state == State::Unknown {
            let advice = format!(
                "`image-syncer doctor {} {repository} --write` begins an upload there and cancels it",
                self.subject.registry
            );
            findings.advise(Area::Rights, "push", state, message, advice);
        } else {
            findings.add(Area::Rights, "push", state, message);
        }
        let (state, message) = match self.granted(repository, "delete", front).await {
            Granted::Yes => (State::Ok, "the token has the right to delete"),
            Granted::No | Granted::Refused(_) => (State::No, "no token with the right to delete"),
            Granted::Untold => (State::Unknown, "only a try tells (--write)"),
        };
        findings.add(Area::Api, "delete", state, message);
        Seen { exists: has_tags || manifest.is_some(), manifest }
    }

    async fn tags(&self, findings: &mut Findings, repository: &Repository) -> Listed {
        #[derive(Deserialize)]
        struct Document {
            tags: Option<Vec<String>>,
        }
        const NAME: &str = "tags";
        let mut call = self.call(Method::GET, &format!("{repository}/tags/list"), "list the tags of");
        call.url.query_pairs_mut().append_pair("n", TAGS);
        let call = call.scope(pull_of(repository));
        let (answer, body) = match self.remote.client.fetch(&call, TAGS_BYTES).await {
            Ok(answered) => answered,
            Err(error) => {
                findings.add(Area::Api, NAME, State::Unknown, said(&error));
                return Listed::Nothing;
            }
        };
        findings.note_limits(&answer.headers);
        let status = answer.status;
        if status == StatusCode::OK {
            let Ok(document) = serde_json::from_slice::<Document>(&body) else {
                findings.add(Area::Api, NAME, State::No, "what is answered is no list of tags");
                return Listed::Nothing;
            };
            let tags = document.tags.unwrap_or_default();
            findings.add(Area::Api, NAME, State::Ok, "tags are listed");
            return Listed::Tags(tags.iter().find_map(|tag| tag.parse().ok()));
        }
        let refusal = answer.refusal().await;
        if status == StatusCode::NOT_FOUND && matches!(refusal.code.as_str(), "NAME_UNKNOWN" | "NAME_INVALID")
        {
            findings.add(Area::Api, NAME, State::Unknown, "there is no such repository to list the tags of");
            return Listed::NoRepository;
        }
        let state = if matches!(status.as_u16(), 401 | 403) { State::Unknown } else { State::No };
        findings.add(Area::Api, NAME, state, format!("answered with {status}"));
        Listed::Nothing
    }

    /// A HEAD of a manifest is a pull that no registry counts.
    async fn pull(&self, findings: &mut Findings, repository: &Repository, listed: Listed) -> Option<Digest> {
        const NAME: &str = "pull";
        let tag = match &listed {
            Listed::Tags(Some(tag)) => tag.as_str(),
            _ => "latest",
        };
        let path = format!("{repository}/manifests/{tag}");
        let mut call = self.call(Method::HEAD, &path, "read manifest").scope(pull_of(repository));
        call.headers.insert(http::header::ACCEPT, HeaderValue::from_static(super::super::manifest::ACCEPT));
        let answer = match self.remote.client.send(&call).await {
            Ok(answer) => answer,
            Err(error) => {
                let lasts = matches!(error.kind, StoreErrorKind::Denied | StoreErrorKind::Access);
                let state = if lasts { State::Failed } else { State::Unknown };
                findings.add(Area::Rights, NAME, state, said(&error));
                return None;
            }
        };
        findings.note_limits(&answer.headers);
        let manifest = answer.header("docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
        match (answer.status, &listed) {
            (status, _) if status.is_success() => {
                findings.add(Area::Rights, NAME, State::Ok, format!("the tag `{tag}` can be read"));
                manifest
            }
            (StatusCode::NOT_FOUND, Listed::Tags(_)) => {
                findings.add(Area::Rights, NAME, State::Ok, "allowed, and there is nothing to pull");
                None
            }
            (StatusCode::NOT_FOUND, Listed::NoRepository) => {
                let message = "there is no such repository, or none for us";
                findings.add(Area::Rights, NAME, State::Unknown, message);
                None
            }
            (StatusCode::NOT_FOUND, Listed::Nothing) => {
                let message = format!("there is no tag `{tag}`, and tags are not listed");
                findings.add(Area::Rights, NAME, State::Unknown, message);
                None
            }
            (status, _) => {
                let denied = matches!(status.as_u16(), 401 | 403);
                let state = if denied { State::Failed } else { State::Unknown };
                findings.add(Area::Rights, NAME, state, said(&answer.into_error().await));
                None
            }
        }
    }

    /// Whether the token service gives a token with these rights, as far as the token can be read.
    async fn granted(&self, repository: &Repository, actions: &'static str, front: &Front) -> Granted {
        if !front.has_tokens {
            return Granted::Untold;
        }
        let client = &self.remote.client;
        let scopes = [Scope { repository: repository.clone(), actions }];
        match client.auth.authorization(client, &scopes).await {
            Ok(Some(header)) => {
                let wanted = actions.rsplit(',').next().unwrap_or(actions);
                rights_in(&header, repository).map_or(Granted::Untold, |rights| {
                    if rights.iter().any(|right| right == wanted || right == "*") {
                        Granted::Yes
                    } else {
                        Granted::No
                    }
                })
            }
            Err(StoreError { kind: StoreErrorKind::Denied, message, .. }) => Granted::Refused(message),
            Ok(None) | Err(_) => Granted::Untold,
        }
    }
}

/// Whether a right was given.
enum Granted {
    Yes,
    No,
    Refused(String),
    /// The token does not say.
    Untold,
}

fn pull_of(repository: &Repository) -> Scope {
    Scope { repository: repository.clone(), actions: "pull" }
}

/// The rights to a repository that a token states, if it can be read (Docker's "Token Authentication
/// Implementation", claim `access`). Nobody checks its signature: it was just given to us, and nothing but a remark
/// depends on it.
fn rights_in(authorization: &HeaderValue, repository: &Repository) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Claims {
        access: Option<Vec<Access>>,
    }
    #[derive(Deserialize)]
    struct Access {
        r#type: String,
        name: String,
        actions: Option<Vec<String>>,
    }
    let token = authorization.to_str().ok()?.strip_prefix("Bearer ")?;
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let access = serde_json::from_slice::<Claims>(&claims).ok()?.access?;
    let ours = access.into_iter().filter(|it| it.r#type == "repository" && it.name == repository.as_str());
    Some(ours.flat_map(|it| it.actions.unwrap_or_default()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(claims: &str) -> Option<Vec<String>> {
        let token = format!("Bearer x.{}.y", URL_SAFE_NO_PAD.encode(claims));
        rights_in(
            &HeaderValue::from_str(&token).expect("a value"),
            &"team/app".parse().expect("a repository"),
        )
    }

    #[test]
    fn a_token_that_can_be_read_states_rights() {
        let access = r#"{"access":[{"type":"repository","name":"team/app","actions":["pull","push"]},
            {"type":"repository","name":"team/other","actions":["delete"]}]}"#;
        assert_eq!(rights(access), Some(vec!["pull".to_owned(), "push".to_owned()]));
        assert_eq!(rights(r#"{"access":[]}"#), Some(Vec::new()));
        assert_eq!(rights(r#"{"sub":"robot"}"#), None);
        assert_eq!(rights("opaque"), None);
        let opaque = HeaderValue::from_static("Bearer token-1");
        assert_eq!(rights_in(&opaque, &"team/app".parse().expect("a repository")), None);
    }
}
