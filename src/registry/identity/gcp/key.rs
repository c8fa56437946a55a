//! A service account's key. It signs a statement that Google exchanges for a token ("Using OAuth 2.0 for Server to
//! Server Applications"; RFC 7523): the key itself is sent to nobody.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;

use super::{AccessToken, Answer, OAUTH, OAUTH_PATH, SCOPE};
use crate::registry::identity::context::Context;
use crate::registry::identity::service::{Content, Errand};
use crate::secret::Secret;
use crate::store::StoreError;

/// Whom the statement is for: the token endpoint by its name, wherever it is reached.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";

/// A service account's key, as Google issues it.
#[derive(Deserialize)]
pub(super) struct Key {
    client_email: String,
    #[serde(rename = "private_key_id")]
    id: String,
    #[serde(rename = "private_key")]
    pem: String,
}

impl Key {
    pub(super) async fn token(&self, context: &Context<'_>) -> Result<AccessToken, StoreError> {
        let assertion = self.assertion(SystemTime::now());
        let assertion = assertion.ok_or_else(|| {
            context.error("the `private_key` of its Google Cloud credentials is no RSA key in PEM")
        })?;
        let assertion = context.hidden(assertion);
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion.expose()),
        ];
        let errand = Errand {
            host: OAUTH,
            path: OAUTH_PATH,
            content: Content::Form(&form),
            bearer: None,
            secrets: &[&assertion],
        };
        let answer: Answer = context.services.ask(errand, "an access token", context).await?;
        Ok(answer.token(context))
    }

    /// A JSON Web Token (RFC 7519) that is valid for an hour, signed with RS256 (RFC 7518, section 3.3).
    fn assertion(&self, now: SystemTime) -> Option<Secret> {
        let issued = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.id });
        let claims = json!({
            "iss": self.client_email,
            "scope": SCOPE,
            "aud": AUDIENCE,
            "iat": issued,
            "exp": issued + 3600,
        });
        let encoded = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encoded(&header), encoded(&claims));
        let der = PrivatePkcs8KeyDer::from_pem_slice(self.pem.as_bytes()).ok()?;
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok()?;
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
        Some(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}
