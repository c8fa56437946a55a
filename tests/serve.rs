//! The registry that `serve` is, over real HTTP: what the distribution specification asks of it, for memory
//! and for a layout folder alike.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use image_syncer::command::serve::{Content, run};
use image_syncer::layout::Layout;
use image_syncer::oci::{Digest, MediaType, RawManifest};
use image_syncer::serve::{self, Behaviour, Memory};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use support::registry::{Builder, TestRegistry};
use tempfile::TempDir;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry and a client for it.
struct Served {
    registry: TestRegistry,
    client: Client,
    _folder: Option<TempDir>,
}

/// Runs a test against both stores.
async fn both(test: impl AsyncFn(&Served)) {
    both_with(TestRegistry::builder, test).await;
}

async fn both_with(builder: impl Fn() -> Builder, test: impl AsyncFn(&Served)) {
    let client = Client::new();
    test(&Served { registry: builder().start(), client: client.clone(), _folder: None }).await;
    let folder = tempfile::tempdir().expect("a folder");
    let layout = Layout::new(folder.path().join("layout"));
    let registry = builder().backend(Arc::new(layout)).start();
    test(&Served { registry, client, _folder: Some(folder) }).await;
}

/// A status, headers and a body.
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The status, and the first error's code.
    fn error(&self) -> (u16, String) {
        (self.status, self.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned())
    }
}

impl Served {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.registry.url()))
    }

    async fn send(&self, request: RequestBuilder) -> Answer {
        let response: Response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.expect("a body").to_vec();
        Answer { status, headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    async fn head(&self, path: &str) -> Answer {
        self.send(self.request(Method::HEAD, path)).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    async fn post(&self, path: &str) -> Answer {
        self.send(self.request(Method::POST, path)).await
    }

    async fn put(&self, path: &str, body: &[u8]) -> Answer {
        self.send(self.request(Method::PUT, path).body(body.to_vec())).await
    }

    async fn patch(&self, path: &str, range: &str, body: &'static [u8]) -> Answer {
        let request = self.request(Method::PATCH, path).body(body);
        self.send(if range.is_empty() { request } else { request.header("content-range", range) }).await
    }

    async fn push_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let answer = self.send(self.request(Method::POST, &path).body(bytes.to_vec())).await;
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.header("location"), format!("/v2/{repository}/blobs/{digest}"));
        digest
    }

    async fn push_manifest(&self, repository: &str, reference: &str, manifest: &RawManifest) -> Answer {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let request = self.request(Method::PUT, &path).header("content-type", manifest.media_type.as_str());
        self.send(request.body(manifest.bytes.clone())).await
    }

    /// An image of which everything but the manifest is there already.
    async fn image(&self, repository: &str, change: impl Fn(&mut Value)) -> RawManifest {
        let layer = self.push_blob(repository, b"a layer").await;
        let config = self.push_blob(repository, b"{}").await;
        let mut document = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2 },
            "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": 7 }],
        });
        change(&mut document);
        RawManifest::new(MediaType::OCI_MANIFEST, document.to_string())
    }

    async fn push_image(&self, repository: &str, tag: &str) -> RawManifest {
        let manifest = self.image(repository, |_| {}).await;
        assert_eq!(self.push_manifest(repository, tag, &manifest).await.status, 201);
        manifest
    }
}

#[tokio::test]
async fn the_base_says_that_this_is_a_registry() {
    both(async |served| {
        for path in ["/v2/", "/v2"] {
            let answer = served.get(path).await;
            assert_eq!((answer.status, answer.json()), (200, json!({})), "{path}");
            assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
        }
        assert_eq!(served.get("/").await.status, 404);
        assert_eq!(served.get("/v2/a/b/c").await.status, 404);
        assert_eq!(served.get("/v2/A/tags/list").await.error(), (400, "NAME_INVALID".to_owned()));
        assert_eq!(served.delete("/v2/a/tags/list").await.error(), (405, "UNSUPPORTED".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_blob_is_read_whole_and_in_ranges() {
    both(async |served| {
        let digest = served.push_blob("a/b", b"0123456789").await;
        let path = format!("/v2/a/b/blobs/{digest}");
        let head = served.head(&path).await;
        assert_eq!((head.status, head.header("content-length")), (200, "10"));
        assert_eq!(head.header("docker-content-digest"), digest.to_string());
        assert_eq!(served.get(&path).await.body, b"0123456789");

        let part = served.send(served.request(Method::GET, &path).header("range", "bytes=2-4")).await;
        assert_eq!((part.status, part.body.as_slice()), (206, &b"234"[..]));
        assert_eq!(part.header("content-range"), "bytes 2-4/10");
        let rest = served.send(served.request(Method::GET, &path).header("range", "bytes=7-")).await;
        assert_eq!((rest.status, rest.body.as_slice()), (206, &b"789"[..]));
        let beyond = served.send(served.request(Method::GET, &path).header("range", "bytes=10-")).await;
        assert_eq!(beyond.error(), (416, "SIZE_INVALID".to_owned()));
        assert_eq!(beyond.header("content-range"), "bytes */10");

        let absent = format!("/v2/a/b/blobs/{}", Digest::sha256(b"absent"));
        assert_eq!(served.get(&absent).await.error(), (404, "BLOB_UNKNOWN".to_owned()));
        assert_eq!(served.head(&absent).await.status, 404);
        assert_eq!(served.get("/v2/a/b/blobs/sha256:12").await.error(), (400, "DIGEST_INVALID".to_owned()));

        assert_eq!(served.delete(&path).await.status, 202);
        assert_eq!(served.delete(&path).await.error(), (404, "BLOB_UNKNOWN".to_owned()));
        assert_eq!(served.get(&path).await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn a_blob_of_several_pieces_and_of_none_comes_back_as_it_was() {
    both(async |served| {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
        let digest = served.push_blob("a", &bytes).await;
        let path = format!("/v2/a/blobs/{digest}");
        assert!(served.get(&path).await.body == bytes);
        let range = served.request(Method::GET, &path).header("range", "bytes=1000000-2000000");
        assert!(served.send(range).await.body == bytes[1_000_000..=2_000_000]);

        let empty = served.push_blob("a", b"").await;
        let answer = served.get(&format!("/v2/a/blobs/{empty}")).await;
        assert_eq!((answer.status, answer.header("content-length")), (200, "0"));
    })
    .await;
}

#[tokio::test]
async fn a_blob_comes_in_chunks_in_their_order() {
    both(async |served| {
        let start = served.post("/v2/a/blobs/uploads/").await;
        assert_eq!((start.status, start.header("range")), (202, "0-0"));
        let location = start.header("location").to_owned();

        let first = served.patch(&location, "0-3", b"0123").await;
        assert_eq!((first.status, first.header("range")), (202, "0-3"));
        let again = served.patch(&location, "0-3", b"0123").await;
        assert_eq!((again.status, again.header("range")), (416, "0-3"));
        let ahead = served.patch(&location, "8-9", b"89").await;
        assert_eq!(ahead.status, 416);
        let status = served.get(&location).await;
        assert_eq!((status.status, status.header("range")), (204, "0-3"));
        assert_eq!(status.header("location"), location);
        assert_eq!(served.patch(&location, "x", b"").await.error(), (400, "BLOB_UPLOAD_INVALID".to_owned()));

        // A chunk without a range comes next, and the last one can come with the PUT.
        assert_eq!(served.patch(&location, "", b"4567").await.header("range"), "0-7");
        let digest = Digest::sha256(b"0123456789");
        let end = served.put(&format!("{location}?digest={digest}"), b"89").await;
        assert_eq!(end.status, 201);
        assert_eq!(served.get(end.header("location")).await.body, b"0123456789");
        assert_eq!(served.get(&location).await.error(), (404, "BLOB_UPLOAD_UNKNOWN".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository_and_can_be_cancelled() {
    both(async |served| {
        let location = served.post("/v2/a/blobs/uploads").await.header("location").to_owned();
        let other = location.replace("/v2/a/", "/v2/b/");
        assert_eq!(served.get(&other).await.status, 404);
        assert_eq!(served.delete(&location).await.status, 204);
        assert_eq!(served.patch(&location, "", b"x").await.error(), (404, "BLOB_UPLOAD_UNKNOWN".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_blob_with_another_digest_is_not_kept() {
    both(async |served| {
        let wanted = Digest::sha256(b"right");
        let path = format!("/v2/a/blobs/uploads/?digest={wanted}");
        let answer = served.send(served.request(Method::POST, &path).body("wrong")).await;
        assert_eq!(answer.error(), (400, "DIGEST_INVALID".to_owned()));
        let location = served.post("/v2/a/blobs/uploads/").await.header("location").to_owned();
        let answer = served.put(&format!("{location}?digest={wanted}"), b"wrong").await;
        assert_eq!(answer.error(), (400, "DIGEST_INVALID".to_owned()));
        assert_eq!(served.put(&location, b"").await.status, 404);
        for digest in [wanted, Digest::sha256(b"wrong")] {
            assert_eq!(served.get(&format!("/v2/a/blobs/{digest}")).await.status, 404);
        }
    })
    .await;
}

#[tokio::test]
async fn a_sha512_digest_is_as_good() {
    both(async |served| {
        let like: Digest = format!("sha512:{}", "0".repeat(128)).parse().expect("a digest");
        let digest = like.same_algorithm(b"content");
        let location = served.post("/v2/a/blobs/uploads/").await.header("location").to_owned();
        assert_eq!(served.put(&format!("{location}?digest={digest}"), b"content").await.status, 201);
        assert_eq!(served.get(&format!("/v2/a/blobs/{digest}")).await.body, b"content");
        let manifest = served.image("a", |_| {}).await;
        let digest = like.same_algorithm(&manifest.bytes);
        assert_eq!(served.push_manifest("a", &digest.to_string(), &manifest).await.status, 201);
        assert_eq!(served.get(&format!("/v2/a/manifests/{digest}")).await.body, manifest.bytes);
    })
    .await;
}

#[tokio::test]
async fn a_blob_is_mounted_from_another_repository() {
    both(async |served| {
        let digest = served.push_blob("a/b", b"shared").await;
        for query in [format!("mount={digest}&from=a/b"), format!("mount={digest}")] {
            let answer = served.post(&format!("/v2/c/blobs/uploads/?{query}")).await;
            assert_eq!(answer.status, 201, "{query}");
            assert_eq!(answer.header("location"), format!("/v2/c/blobs/{digest}"));
            assert_eq!(served.get(answer.header("location")).await.body, b"shared");
        }
        let absent = Digest::sha256(b"absent");
        for query in
            [format!("mount={absent}&from=a/b"), format!("mount={absent}"), format!("mount={absent}&from=.")]
        {
            let answer = served.post(&format!("/v2/c/blobs/uploads/?{query}")).await;
            assert_eq!(answer.status, 202, "{query}");
            assert!(answer.header("location").starts_with("/v2/c/blobs/uploads/"));
        }
    })
    .await;
    both_with(
        || TestRegistry::builder().without_mount(),
        async |served| {
            let digest = served.push_blob("a/b", b"shared").await;
            let answer = served.post(&format!("/v2/c/blobs/uploads/?mount={digest}&from=a/b")).await;
            assert_eq!(answer.status, 202);
        },
    )
    .await;
}

#[tokio::test]
async fn a_manifest_is_pushed_and_read_byte_for_byte() {
    both(async |served| {
        let manifest = served.image("a/b", |document| document["x"] = json!(1.50)).await;
        let by_tag = served.push_manifest("a/b", "v1", &manifest).await;
        assert_eq!(by_tag.status, 201);
        assert_eq!(by_tag.header("location"), format!("/v2/a/b/manifests/{}", manifest.digest));
        assert_eq!(by_tag.header("oci-subject"), "");
        let digest = manifest.digest.to_string();
        assert_eq!(served.push_manifest("a/b", &digest, &manifest).await.status, 201);
        for reference in ["v1", &digest] {
            let answer = served.get(&format!("/v2/a/b/manifests/{reference}")).await;
            assert_eq!((answer.status, answer.body.as_slice()), (200, &manifest.bytes[..]));
            assert_eq!(answer.header("content-type"), OCI_MANIFEST);
            assert_eq!(answer.header("docker-content-digest"), digest);
            let head = served.head(&format!("/v2/a/b/manifests/{reference}")).await;
            assert_eq!(head.header("content-length"), manifest.bytes.len().to_string());
        }
        for reference in ["v2", ".no-tag", &Digest::sha256(b"absent").to_string()] {
            let answer = served.get(&format!("/v2/a/b/manifests/{reference}")).await;
            assert_eq!(answer.error(), (404, "MANIFEST_UNKNOWN".to_owned()), "{reference}");
        }
        // A blob is no manifest.
        let layer = Digest::sha256(b"a layer");
        assert_eq!(served.get(&format!("/v2/a/b/manifests/{layer}")).await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn a_manifest_that_is_wrong_is_refused_by_name() {
    both(async |served| {
        let manifest = served.image("a", |_| {}).await;
        let refused = async |reference: &str, media_type: &str, bytes: Vec<u8>| {
            let manifest = RawManifest::new(MediaType::new(media_type), bytes);
            served.push_manifest("a", reference, &manifest).await.error()
        };
        let invalid = (400, "MANIFEST_INVALID".to_owned());
        let digest = Digest::sha256(b"other").to_string();
        assert_eq!(refused(&digest, OCI_MANIFEST, manifest.bytes.to_vec()).await.1, "DIGEST_INVALID");
        assert_eq!(refused("sha256:totallywrong", OCI_MANIFEST, manifest.bytes.to_vec()).await.0, 400);
        assert_eq!(refused("-x", OCI_MANIFEST, manifest.bytes.to_vec()).await, invalid);
        assert_eq!(refused("v1", OCI_MANIFEST, b"{".to_vec()).await, invalid);
        assert_eq!(refused("v1", "text/plain", b"text".to_vec()).await, invalid);
        assert_eq!(refused("v1", MediaType::OCI_INDEX.as_str(), manifest.bytes.to_vec()).await, invalid);
        let too_large = vec![b' '; 4 * 1024 * 1024 + 1];
        assert_eq!(refused("v1", OCI_MANIFEST, too_large).await, (413, "SIZE_INVALID".to_owned()));

        let absent = json!({ "mediaType": OCI_MANIFEST, "digest": Digest::sha256(b"absent"), "size": 6 });
        let incomplete = served.image("a", |document| document["layers"][0] = absent.clone()).await;
        let answer = served.push_manifest("a", "v1", &incomplete).await;
        assert_eq!(answer.error(), (400, "MANIFEST_BLOB_UNKNOWN".to_owned()));
        let index = json!({ "schemaVersion": 2, "manifests": [absent] });
        let index = RawManifest::new(MediaType::OCI_INDEX, index.to_string());
        let answer = served.push_manifest("a", "v1", &index).await;
        assert_eq!(answer.error(), (400, "MANIFEST_BLOB_UNKNOWN".to_owned()));
        assert_eq!(served.get("/v2/a/manifests/v1").await.status, 404);

        // A layer that is elsewhere need not be here.
        let elsewhere = json!({
            "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "digest": Digest::sha256(b"absent"), "size": 6, "urls": ["https://example.com/layer"],
        });
        let foreign = served.image("a", |document| document["layers"][0] = elsewhere.clone()).await;
        assert_eq!(served.push_manifest("a", "v1", &foreign).await.status, 201);
    })
    .await;
}

#[tokio::test]
async fn referrers_are_listed_with_their_type_and_annotations() {
    both(async |served| {
        let subject = served.push_image("a", "v1").await;
        let path = format!("/v2/a/referrers/{}", subject.digest);
        let none = served.get(&path).await;
        assert_eq!((none.status, none.header("content-type")), (200, MediaType::OCI_INDEX.as_str()));
        assert_eq!(none.json()["manifests"], json!([]));

        let refer = async |change: &dyn Fn(&mut Value)| {
            let referrer = served
                .image("a", |document| {
                    document["subject"] = json!(subject.descriptor());
                    change(document);
                })
                .await;
            let answer = served.push_manifest("a", &referrer.digest.to_string(), &referrer).await;
            assert_eq!((answer.status, answer.header("oci-subject")), (201, &*subject.digest.to_string()));
            referrer
        };
        let typed = refer(&|document| {
            document["artifactType"] = json!("application/x.sbom");
            document["annotations"] = json!({ "made": "today" });
        })
        .await;
        let untyped = refer(&|_| {}).await;

        let all = served.get(&path).await.json();
        let mut expected = vec![
            json!({
                "mediaType": OCI_MANIFEST, "digest": typed.digest, "size": typed.bytes.len(),
                "artifactType": "application/x.sbom", "annotations": { "made": "today" },
            }),
            json!({
                "mediaType": OCI_MANIFEST, "digest": untyped.digest, "size": untyped.bytes.len(),
                "artifactType": "application/vnd.oci.image.config.v1+json",
            }),
        ];
        expected.sort_by_key(|descriptor| descriptor["digest"].to_string());
        assert_eq!(all["manifests"], json!(expected));

        let filtered = served.get(&format!("{path}?artifactType=application%2Fx.sbom")).await;
        assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
        assert_eq!(filtered.json()["manifests"].as_array().map(Vec::len), Some(1));
        assert_eq!(filtered.json()["manifests"][0]["digest"], json!(typed.digest));
        assert_eq!(served.get("/v2/a/referrers/sha256:12").await.error(), (400, "DIGEST_INVALID".to_owned()));

        // Deleting the manifest takes it off the list.
        assert_eq!(served.delete(&format!("/v2/a/manifests/{}", typed.digest)).await.status, 202);
        assert_eq!(served.get(&path).await.json()["manifests"].as_array().map(Vec::len), Some(1));
    })
    .await;
}

#[tokio::test]
async fn without_the_referrers_api_nothing_is_promised() {
    both_with(
        || TestRegistry::builder().without_referrers_api(),
        async |served| {
            let subject = served.push_image("a", "v1").await;
            let referrer =
                served.image("a", |document| document["subject"] = json!(subject.descriptor())).await;
            let answer = served.push_manifest("a", &referrer.digest.to_string(), &referrer).await;
            assert_eq!((answer.status, answer.header("oci-subject")), (201, ""));
            assert_eq!(served.get(&format!("/v2/a/referrers/{}", subject.digest)).await.status, 404);
        },
    )
    .await;
}

/// All entries of a list, page by page, and how many pages there were.
async fn paged(served: &Served, path: &str, key: &str) -> (Vec<String>, usize) {
    let (mut entries, mut pages, mut next) = (Vec::new(), 0, path.to_owned());
    loop {
        let answer = served.get(&next).await;
        assert_eq!(answer.status, 200);
        pages += 1;
        for entry in answer.json()[key].as_array().expect("a list") {
            let text = entry.as_str().or_else(|| entry["digest"].as_str());
            entries.push(text.expect("an entry").to_owned());
        }
        let link = answer.header("link");
        let Some((path, _)) = link.strip_prefix('<').and_then(|link| link.split_once(">; rel=\"next\""))
        else {
            return (entries, pages);
        };
        path.clone_into(&mut next);
    }
}

#[tokio::test]
async fn lists_come_sorted_and_in_pages() {
    let small = || TestRegistry::builder().behaviour(Behaviour { page_limit: 2, ..Behaviour::default() });
    both_with(small, async |served| {
        let manifest = served.push_image("a/b", "v2").await;
        for tag in ["v10", "v1", "V3", "latest"] {
            assert_eq!(served.push_manifest("a/b", tag, &manifest).await.status, 201);
        }
        let sorted = ["V3", "latest", "v1", "v10", "v2"];
        let (tags, pages) = paged(served, "/v2/a/b/tags/list", "tags").await;
        assert_eq!((tags.as_slice(), pages), (&sorted.map(str::to_owned)[..], 3));
        let (tags, pages) = paged(served, "/v2/a/b/tags/list?n=1&last=latest", "tags").await;
        assert_eq!((tags.len(), pages), (3, 3));
        let none = served.get("/v2/a/b/tags/list?n=0").await;
        assert_eq!((none.json()["tags"].clone(), none.header("link")), (json!([]), ""));
        assert_eq!(served.get("/v2/a/b/tags/list?n=x").await.status, 400);
        assert_eq!(served.get("/v2/none/tags/list").await.error(), (404, "NAME_UNKNOWN".to_owned()));

        for repository in ["c", "a/a"] {
            served.push_image(repository, "v1").await;
        }
        let (repositories, pages) = paged(served, "/v2/_catalog", "repositories").await;
        assert_eq!((repositories.as_slice(), pages), (&["a/a", "a/b", "c"].map(str::to_owned)[..], 2));

        for number in 0..5 {
            let referrer = served
                .image("a/b", |document| {
                    document["subject"] = json!(manifest.descriptor());
                    document["artifactType"] = json!("application/x+y");
                    document["annotations"] = json!({ "number": number.to_string() });
                })
                .await;
            served.push_manifest("a/b", &referrer.digest.to_string(), &referrer).await;
        }
        let path = format!("/v2/a/b/referrers/{}?artifactType=application/x%2By", manifest.digest);
        let (mut referrers, pages) = paged(served, &path, "manifests").await;
        referrers.dedup();
        assert_eq!((referrers.len(), pages), (5, 3));
    })
    .await;
}

#[tokio::test]
async fn a_deleted_tag_leaves_the_manifest_and_a_deleted_manifest_no_tag() {
    both(async |served| {
        let manifest = served.push_image("a", "v1").await;
        served.push_manifest("a", "v2", &manifest).await;
        let by_digest = format!("/v2/a/manifests/{}", manifest.digest);
        assert_eq!(served.delete("/v2/a/manifests/v1").await.status, 202);
        assert_eq!(served.delete("/v2/a/manifests/v1").await.error(), (404, "MANIFEST_UNKNOWN".to_owned()));
        assert_eq!(served.get(&by_digest).await.status, 200);
        assert_eq!(served.get("/v2/a/tags/list").await.json()["tags"], json!(["v2"]));
        assert_eq!(served.delete(&by_digest).await.status, 202);
        assert_eq!(served.get(&by_digest).await.status, 404);
        assert_eq!(served.get("/v2/a/manifests/v2").await.status, 404);
        assert_eq!(served.delete(&by_digest).await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn an_independent_client_reads_back_what_it_pushed() {
    use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
    use oci_client::secrets::RegistryAuth;
    both(async |served| {
        let config = ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() };
        let client = oci_client::Client::new(config);
        let image = format!("{}/team/app:v1", served.registry.host()).parse().expect("a reference");
        let layers = [b"one".to_vec(), b"two".to_vec()].map(|data| ImageLayer::oci_v1(data, None));
        let config = Config::oci_v1(b"{}".to_vec(), None);
        let auth = RegistryAuth::Anonymous;
        client.push(&image, &layers, config, &auth, None).await.expect("pushed");
        let types = vec!["application/vnd.oci.image.layer.v1.tar"];
        let pulled = client.pull(&image, &auth, types).await.expect("pulled");
        // The client hands layers over in the order in which they came.
        let mut layers: Vec<_> = pulled.layers.iter().map(|layer| &layer.data[..]).collect();
        layers.sort_unstable();
        assert_eq!(layers, [b"one", b"two"]);
        let tags = client.list_tags(&image, &auth, None, None).await.expect("tags");
        assert_eq!(tags.tags, ["v1"]);
    })
    .await;
}

#[tokio::test]
async fn a_refused_body_leaves_the_connection_usable() {
    both(async |served| {
        for _ in 0..20 {
            let answer = served.put("/v2/a/blobs/uploads/none?digest=sha256:12", &vec![7; 100_000]).await;
            assert_eq!(answer.status, 404);
        }
    })
    .await;
}

#[tokio::test]
async fn a_layout_deletes_nothing_that_an_image_needs() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = Layout::new(folder.path());
    let registry = TestRegistry::builder().backend(Arc::new(layout)).start();
    let served = Served { registry, client: Client::new(), _folder: Some(folder) };
    let manifest = served.push_image("a", "v1").await;
    served.push_manifest("b", "v1", &manifest).await;
    let layer = Digest::sha256(b"a layer");
    // What one repository has, all have.
    assert_eq!(served.delete(&format!("/v2/c/blobs/{layer}")).await.error().0, 405);
    assert_eq!(served.delete(&format!("/v2/a/manifests/{}", manifest.digest)).await.status, 202);
    assert_eq!(served.get("/v2/a/manifests/v1").await.status, 404);
    assert_eq!(served.get("/v2/b/manifests/v1").await.status, 200);
    assert_eq!(served.delete(&format!("/v2/b/manifests/{}", manifest.digest)).await.status, 202);
    assert_eq!(served.delete(&format!("/v2/c/blobs/{layer}")).await.status, 202);
}

#[tokio::test]
async fn serve_tells_its_url_and_ends_when_told_even_with_a_client_that_hangs() {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (tell, told) = tokio::sync::oneshot::channel();
    let server = tokio::spawn(async move {
        let listen = "127.0.0.1:0".parse().expect("an address");
        let shutdown = async move {
            // Either way it is the end.
            let _ = stopped.await;
        };
        run(&Content::Memory, listen, shutdown, |url| tell.send(url.to_owned()).expect("told")).await
    });
    let url = told.await.expect("a URL");
    assert_eq!(reqwest::get(format!("{url}/v2/")).await.expect("an answer").status(), 200);
    let pieces = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let upload = Client::new()
        .post(format!("{url}/v2/a/blobs/uploads/?digest={}", Digest::sha256(b"")))
        .body(reqwest::Body::wrap_stream(pieces))
        .send();
    let upload = tokio::spawn(upload);
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.send(()).expect("running");
    let ended = tokio::time::timeout(Duration::from_secs(4), server).await.expect("it ends in time");
    ended.expect("no panic").expect("no error");
    upload.abort();
}

#[tokio::test]
async fn serve_listens_on_loopback_addresses_only() {
    let listen = "0.0.0.0:5000".parse().expect("an address");
    let error = run(&Content::Memory, listen, async {}, |_| {}).await.expect_err("refused");
    let text = error.to_string();
    assert!(text.contains("0.0.0.0:5000") && text.contains("use a loopback address, such as 127.0.0.1:5000"));
}

#[tokio::test]
async fn serve_refuses_a_folder_that_is_something_else() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("notes.txt"), "mine").expect("written");
    let content = Content::Layout(folder.path().to_owned());
    let listen = "127.0.0.1:0".parse().expect("an address");
    let error = run(&content, listen, async {}, |_| {}).await.expect_err("refused");
    assert!(error.to_string().contains("no OCI image layout"), "{error}");
}

#[tokio::test]
async fn a_router_needs_no_more_than_a_backend() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/v2/", listener.local_addr().expect("an address"));
    let server = serve::serve(listener, serve::router(Arc::new(Memory::new())), std::future::pending());
    tokio::select! {
        result = server => panic!("the server ended: {result:?}"),
        answer = reqwest::get(url) => assert_eq!(answer.expect("an answer").status(), 200),
    }
}
