//! The JSON Schema of the list, for editors and for checks without this program.

/// The JSON Schema (draft 2020-12) of `external-images.yaml`.
pub const LIST_SCHEMA: &str = include_str!("../../schemas/external-images.schema.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::config::{entry, fields::Keys, list};

    fn schema() -> Value {
        serde_json::from_str(LIST_SCHEMA).expect("JSON")
    }

    fn is_valid(instance: &Value) -> bool {
        jsonschema::draft202012::new(&schema()).expect("a schema").is_valid(instance)
    }

    /// The file's keys are those that the program reads, and legacy ones are marked.
    #[test]
    fn the_schema_is_current() {
        let schema = schema();
        let check = |properties: &Value, keys: &Keys| {
            let properties = properties.as_object().expect("properties");
            let (deprecated, known): (Vec<_>, Vec<_>) =
                properties.iter().partition(|(_, property)| property["deprecated"] == json!(true));
            let names = |pairs: Vec<(&String, &Value)>| -> BTreeSet<String> {
                pairs.into_iter().map(|(name, _)| name.clone()).collect()
            };
            assert_eq!(names(known), keys.known.iter().map(ToString::to_string).collect());
            assert_eq!(names(deprecated), keys.legacy.iter().map(|(name, _)| name.to_string()).collect());
            for (name, property) in properties {
                for word in ["title", "description"] {
                    assert!(property[word].is_string(), "{name} has no {word} for editors to show");
                }
            }
        };
        check(&schema["properties"], &list::KEYS);
        check(&schema["$defs"]["entry"]["properties"], &entry::KEYS);
    }

    #[test]
    fn the_schema_knows_good_from_bad() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let entry = |entry: Value| is_valid(&json!({"images": [entry]}));
        for good in [
            json!({"source": "alpine:3.22"}),
            json!({"source": "rancher/k3s"}),
            json!({"source": "localhost:5000/a/b:v1", "tag": "x", "target": "tools/b"}),
            json!({"source": format!("busybox@sha256:{hex}"), "tag": "1.32.0-v1"}),
            json!({"source": format!("r.example:5000/a:1@sha256:{hex}")}),
            json!({"source": "a:1", "tag": 1.5, "amd64Only": true, "amd64only": false, "sign": true}),
            json!({"source": "a:1", "platforms": ["linux/amd64", "linux/arm/v7"]}),
            json!({"source": "nvcr.io/x/1.10.0/driver:590-6.18"}),
        ] {
            assert!(entry(good.clone()), "{good}");
        }
        for bad in [
            json!("alpine:3.22"),
            json!({"tag": "x"}),
            json!({"source": "a:1", "tage": "x"}),
            json!({"source": format!("busybox@sha256:{hex}")}),
            json!({"source": format!("r.example:5000/a@sha256:{hex}")}),
            json!({"source": format!("a@sha256-{hex}"), "tag": "x"}),
            json!({"source": format!("a:sha256:{hex}"), "tag": "x"}),
            json!({"source": format!("sha256:{hex}"), "tag": "x"}),
            json!({"source": hex, "tag": "x"}),
            json!({"source": format!("{hex}:1")}),
            json!({"source": null}),
            json!({"source": "a:1", "tag": null}),
            json!({"source": format!("a@sha256:{hex}0"), "tag": "x"}),
            json!({"source": "golang/1.17.7-alpine3.15"}),
            json!({"source": "docker://a:1"}),
            json!({"source": "a:1", "platforms": []}),
            json!({"source": "a:1", "platforms": ["amd64"]}),
            json!({"source": "a:1", "target": "tools/b:1"}),
        ] {
            assert!(!entry(bad.clone()), "{bad}");
        }
        let prefix = |prefix: &str| is_valid(&json!({"targetRepoPrefix": prefix, "images": []}));
        for good in [
            "r.example/",
            "r.example/a/b/",
            "localhost:5000/",
            "registry:5000/a/",
            "[::1]:5000/a/",
            "oci:out/",
        ] {
            assert!(prefix(good), "{good}");
        }
        for bad in ["", "r.example", "r.example/a", "mirror/", "https://r.example/", "oci:out"] {
            assert!(!prefix(bad), "{bad}");
        }
        assert!(!is_valid(&json!({"targetRepoPrefix": "r.example/"})), "images is required");
    }
}
