//! Indexes that name themselves, or far too much.

use http::Method;
use image_syncer::oci::{Digest, MediaType, RawManifest};
use serde_json::json;

use crate::support::content::{put, put_image, put_image_for, put_index, put_referrer, repository};
use crate::support::fault::Fault;
use crate::support::scenario::Scenario;
use crate::{Ambush, EVIL, each};

/// An index whose one child is `child`.
fn index_of(child: &Digest) -> String {
    let child = json!({ "mediaType": MediaType::OCI_INDEX, "digest": child, "size": 300 });
    json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": [child] }).to_string()
}

#[test]
fn a_child_that_names_itself() {
    let digest = Digest::sha256(b"whatever");
    let index = index_of(&digest);
    let ambush = Ambush::of(Scenario::new(), |source| {
        let index = serde_json::from_str(&index).expect("JSON");
        put(&source.memory, &repository(EVIL), Some("1"), MediaType::OCI_INDEX, &index)
    });
    // The child's bytes name the digest that they were asked for by.
    let ambush = ambush.at_source(each(Method::GET, &digest.to_string(), move || {
        Fault::body(200, MediaType::OCI_INDEX.as_str(), index.clone())
    }));
    ambush.fails("blocked", &[&digest.to_string(), "the registry sent a manifest with the digest"]);
    assert_eq!(ambush.asked(&Method::GET, "/manifests/"), 3, "what arrives corrupt is asked for once more");
}

#[test]
fn an_index_that_says_to_have_the_digest_of_its_own_child() {
    let digest = Digest::sha256(b"whatever");
    let served = digest.to_string();
    let body = index_of(&digest);
    let ambush = Ambush::new().at_source(move |parts| {
        crate::is(parts, &Method::GET, "/manifests/").then(|| {
            let answer = Fault::body(200, MediaType::OCI_INDEX.as_str(), body.clone());
            let Fault::Answer(mut answer) = answer else { unreachable!() };
            answer.headers_mut().insert("docker-content-digest", served.parse().expect("a value"));
            Fault::Answer(answer)
        })
    });
    ambush.fails("blocked", &["evil/app:1", "the registry sent a manifest with the digest"]);
}

#[test]
fn an_index_that_is_a_thousand_deep() {
    let ambush = Ambush::of(Scenario::new(), |source| {
        let memory = &source.memory;
        let mut inner = put_image(memory, EVIL, None, &[b"at the bottom"]);
        for level in (0..1000).rev() {
            inner = put_index(memory, EVIL, (level == 0).then_some("1"), &[(&inner, "linux/amd64")]);
        }
        inner
    });
    ambush.fails("blocked", &["its indexes are nested more than 8 deep"]);
    assert!(ambush.asked(&Method::GET, "/manifests/") <= 9);
}

#[test]
fn indexes_in_indexes_as_deep_as_real_ones_arrive() {
    let ambush = Ambush::of(Scenario::new(), |source| {
        let memory = &source.memory;
        let mut inner = put_image(memory, EVIL, None, &[b"at the bottom"]);
        for level in (0..8).rev() {
            inner = put_index(memory, EVIL, (level == 0).then_some("1"), &[(&inner, "linux/amd64")]);
        }
        inner
    });
    let told = ambush.heals();
    assert_eq!(told.json()["items"][0]["transfer"]["manifests_pushed"], 9);
}

/// So many children; that they are not there is never found out.
fn children(count: u32, digest: impl Fn(u32) -> Digest) -> (RawManifest, Ambush) {
    let children: Vec<_> = (0..count)
        .map(|number| json!({ "mediaType": MediaType::OCI_MANIFEST, "digest": digest(number), "size": 7 }))
        .collect();
    let index = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": children });
    let ambush = Ambush::of(Scenario::new(), |source| {
        put(&source.memory, &repository(EVIL), Some("1"), MediaType::OCI_INDEX, &index)
    });
    (ambush.evil.clone(), ambush)
}

#[test]
fn an_index_of_ten_thousand_children() {
    let (index, ambush) = children(10_000, |number| Digest::sha256(&number.to_be_bytes()));
    ambush.fails("blocked", &[&index.digest.to_string(), "more than 2000 manifests"]);
    assert_eq!(ambush.asked(&Method::GET, "/manifests/"), 1);
}

#[test]
fn an_index_of_thousands_of_times_the_same_child() {
    let (index, ambush) = children(3000, |_| Digest::sha256(b"again"));
    ambush.fails("blocked", &[&index.digest.to_string(), "more than 2000 manifests"]);
    assert_eq!(ambush.asked(&Method::GET, "/manifests/"), 1);
}

#[test]
fn indexes_of_a_thousand_indexes_each() {
    let wide = |salt: u32| {
        let children: Vec<_> = (0..1000_u32)
            .map(|number| {
                let digest = Digest::sha256(format!("{salt} {number}").as_bytes());
                json!({ "mediaType": MediaType::OCI_INDEX, "digest": digest, "size": 7 })
            })
            .collect();
        json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": children })
    };
    let ambush = Ambush::of(Scenario::new(), |source| {
        let memory = &source.memory;
        let inner: Vec<_> = (0..4)
            .map(|salt| put(memory, &repository(EVIL), None, MediaType::OCI_INDEX, &wide(salt)))
            .collect();
        let inner: Vec<_> = inner.iter().map(|index| (index, "linux/amd64")).collect();
        put_index(memory, EVIL, Some("1"), &inner)
    });
    ambush.fails("blocked", &["more than 2000 manifests"]);
    assert_eq!(ambush.asked(&Method::GET, "/manifests/"), 5);
}

/// Two entries of an index can be one image: its companions are looked up, and told of, once.
#[test]
fn a_child_that_is_named_twice_has_its_companions_once() {
    let ambush = Ambush::of(Scenario::new(), |source| {
        let memory = &source.memory;
        let image = put_image_for(memory, EVIL, None, "linux/arm", &[b"arm"]);
        put_referrer(memory, EVIL, &image, "application/vnd.cncf.notary.signature", b"sig");
        put_index(memory, EVIL, Some("1"), &[(&image, "linux/arm/v6"), (&image, "linux/arm/v7")])
    });
    let companions = |told: &crate::support::scenario::Told| {
        told.json()["items"][0]["companions"].as_array().expect("companions").len()
    };
    let told = ambush.sync();
    told.expect(&["copied", "copied"]);
    assert_eq!(companions(&told), 1);
    let told = ambush.sync();
    told.expect(&["up-to-date", "up-to-date"]);
    assert_eq!(companions(&told), 1);
}
