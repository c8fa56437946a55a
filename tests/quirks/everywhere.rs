//! Caches, proxies, and what holds for all registries with tokens.

use http::Method;

use crate::support::auth::Auth;
use crate::support::content::put_image;
use crate::support::fault::Fault;
use crate::support::registry::TestRegistry;
use crate::{Mirror, is, mount_from};

/// A cache says that it has a blob, and then does not know it.
#[test]
fn a_cache_that_claims_what_it_lacks_is_sent_it() {
    let mirror = Mirror::new().lists("team/app:1");
    let image = put_image(&mirror.source.memory, "team/app", Some("1"), &[b"layer"]);
    let layer = image.parse().expect("a manifest").layers()[0].digest.clone();
    let claimed = layer.to_string();
    mirror.target.on_request(move |parts| {
        let mount =
            parts.uri.query().is_some_and(|query| query.contains("mount=") && query.contains(&claimed[7..]));
        let head = is(parts, &Method::HEAD, &claimed);
        match (mount, head) {
            (true, _) => Some(Fault::status(201, "")),
            (_, true) => Some(Fault::status(200, "")),
            _ => None,
        }
    });
    mirror.sync().expect(&["copied"], 0);
    assert_eq!(mirror.target.blob(&mirror.at("team/app"), &layer), Some(b"layer".to_vec()));
    assert_eq!(mirror.mirrored("team/app", "1"), Some(image));
}

/// A proxy in front refuses bodies that are large; where chunks are no answer, the error says whose limit it is.
#[test]
fn a_proxy_that_refuses_large_bodies_is_named() {
    let mirror = Mirror::new().lists("team/large:1").lists("team/small:1");
    let host = mirror.target.host();
    let mirror = mirror.states(&host, "chunks: never");
    put_image(&mirror.source.memory, "team/large", Some("1"), &[&[7; 4096]]);
    put_image(&mirror.source.memory, "team/small", Some("1"), &[b"small"]);
    mirror.target.on_request(|parts| {
        let length =
            parts.headers.get("content-length").and_then(|text| text.to_str().ok()?.parse::<usize>().ok());
        let page = "<html>413 Request Entity Too Large</html>";
        length.filter(|length| *length > 2048).map(|_| Fault::body(413, "text/html", page))
    });
    let told = mirror.sync();
    told.expect(&["failed", "copied"], 1);
    assert!(told.cause(0).contains("413 Payload Too Large"), "{}", told.cause(0));
    assert!(told.cause(0).contains("limits the size of a request"), "{}", told.cause(0));
    assert_eq!(mirror.target.tags().len(), 1);
    assert_eq!(mirror.target.count(&Method::PATCH, ""), 0);
}

/// A mount takes the right to read where the blob is, beside those where it goes.
#[test]
fn a_mount_has_both_rights_in_one_token() {
    let target = TestRegistry::builder().auth(Auth::bearer("robot", "secret")).start();
    let mirror = Mirror::between(TestRegistry::start(), target).lists("team/a:1").lists("team/b:1");
    let host = mirror.target.host();
    let mirror = mirror.logged_in(&host);
    for name in ["team/a", "team/b"] {
        put_image(&mirror.source.memory, name, Some("1"), &[b"shared by both"]);
    }
    mirror.run("sync", &["--concurrency", "1"]).expect(&["copied", "copied"], 0);
    let (a, b) = (mirror.at("team/a"), mirror.at("team/b"));
    let token =
        |to: &str, from: &str| [format!("repository:{to}:pull,push"), format!("repository:{from}:pull")];
    let both = [token(&a, &b), token(&b, &a)];
    assert!(
        mirror.target.token_requests().iter().any(|request| both.iter().any(|both| request.scopes == *both))
    );
    let mounted = mirror.target.writes().into_iter().filter(|request| {
        let from = mount_from(&request.query);
        request.status == 201 && from.is_some_and(|from| !request.path.contains(&format!("/{from}/")))
    });
    assert!(mounted.count() > 0);
}
