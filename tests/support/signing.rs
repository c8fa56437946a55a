//! Signatures as cosign makes them with a key, of keys that are made for the test.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image_syncer::oci::{MediaType, RawManifest};
use image_syncer::serve::Memory;
use rcgen::{KeyPair, SigningKey as _};
use serde_json::{Value, json};

use super::companions::{BUNDLE, put_cosign};
use super::content::{put, repository};

/// A key pair, ECDSA P-256.
pub(crate) struct Key(KeyPair);

impl Key {
    pub(crate) fn new() -> Self {
        Self(KeyPair::generate().expect("a key"))
    }

    /// The public key, as `cosign generate-key-pair` writes it.
    pub(crate) fn pem(&self) -> String {
        self.0.public_key_pem()
    }

    /// The public key as a value of YAML in one line.
    pub(crate) fn yaml(&self) -> String {
        Value::from(self.pem()).to_string()
    }

    fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.0.sign(message).expect("a signature"))
    }

    /// What a `.sig` layer has of a signature of `of`: the payload and the annotation.
    pub(crate) fn signature(&self, of: &RawManifest) -> (String, String) {
        let payload = json!({
            "critical": {
                "identity": { "docker-reference": "upstream.example/team/app" },
                "image": { "docker-manifest-digest": of.digest.to_string() },
                "type": "cosign container image signature",
            },
            "optional": null,
        });
        let payload = payload.to_string();
        let signature = self.sign(payload.as_bytes());
        (payload, signature)
    }

    /// Signs an image: `.sig` of `subject` holds a signature of `of`, which is another one where somebody cheats.
    pub(crate) fn sign_as(
        &self,
        memory: &Memory,
        name: &str,
        subject: &RawManifest,
        of: &RawManifest,
    ) -> RawManifest {
        let (payload, signature) = self.signature(of);
        put_cosign(memory, name, subject, ".sig", &[(&payload, &signature)])
    }

    /// Signs an image.
    pub(crate) fn sign_image(&self, memory: &Memory, name: &str, image: &RawManifest) -> RawManifest {
        self.sign_as(memory, name, image, image)
    }

    /// Attests something of an image: what cosign 2 puts under `.att`.
    pub(crate) fn attest(
        &self,
        memory: &Memory,
        name: &str,
        image: &RawManifest,
        kind: &str,
        predicate: &Value,
    ) -> RawManifest {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "name": name, "digest": { "sha256": image.digest.hex() } }],
            "predicateType": kind,
            "predicate": predicate,
        });
        let payload = statement.to_string();
        let payload_type = "application/vnd.in-toto+json";
        let encoded = format!("DSSEv1 {} {payload_type} {} {payload}", payload_type.len(), payload.len());
        let envelope = json!({
            "payloadType": payload_type,
            "payload": STANDARD.encode(&payload),
            "signatures": [{ "sig": self.sign(encoded.as_bytes()) }],
        });
        put_cosign(memory, name, image, ".att", &[(&envelope.to_string(), "")])
    }
}

/// Something that poses as a sigstore bundle.
pub(crate) fn put_no_bundle(memory: &Memory, name: &str, image: &RawManifest) -> RawManifest {
    let repository = repository(name);
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": BUNDLE,
        "config": memory.put_blob(&repository, MediaType::OCI_EMPTY, "{}"),
        "layers": [memory.put_blob(&repository, MediaType::new(BUNDLE), "no bundle")],
        "subject": image.descriptor(),
    });
    put(memory, &repository, None, MediaType::OCI_MANIFEST, &document)
}
