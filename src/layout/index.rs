//! `index.json`: the names of a layout (OCI image-spec, image-layout.md, "index.json").
//!
//! Other tools write here, too. What they wrote and we do not understand is kept as it is, in its place;
//! what cannot be read is passed over, never a reason to fail.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::oci::{Descriptor, Digest, MediaType, Repository, Tag};

/// The annotation that holds an entry's name.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The document, and what can be read of it.
#[derive(Debug, Clone)]
pub(super) struct Index {
    /// The repository of names that are a tag only.
    unnamed: Option<Repository>,
    document: Map<String, Value>,
    entries: Vec<Entry>,
    names: BTreeMap<Repository, BTreeMap<Tag, Digest>>,
    /// Lists of referrers, by the tag that stands for their subject.
    lists: BTreeMap<Tag, Digest>,
}

/// What an entry's name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// A tag of a repository.
    Tag(Repository, Tag),
    /// A list of the referrers of the subject that the tag stands for.
    Referrers(Tag),
}

/// An entry that can be read.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The name, if there is one that means something here.
    pub(super) name: Option<Name>,
    /// What it names.
    pub(super) manifest: Descriptor,
}

impl Index {
    /// An index without entries.
    pub(super) fn empty(unnamed: Option<Repository>) -> Self {
        let mut document = Map::new();
        document.insert("schemaVersion".to_owned(), json!(2));
        document.insert("mediaType".to_owned(), json!(MediaType::OCI_INDEX));
        document.insert("manifests".to_owned(), json!([]));
        Self { unnamed, document, entries: Vec::new(), names: BTreeMap::new(), lists: BTreeMap::new() }
    }

    /// Reads the document. A name that is a tag only, as skopeo writes it, belongs to `unnamed`.
    pub(super) fn parse(bytes: &[u8], unnamed: Option<Repository>) -> Result<Self, String> {
        let document = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let mut index =
            Self { unnamed, document, entries: Vec::new(), names: BTreeMap::new(), lists: BTreeMap::new() };
        index.read_entries();
        Ok(index)
    }

    fn read_entries(&mut self) {
        let read = |value| Entry::read(value, self.unnamed.as_ref());
        self.entries = self.values().iter().filter_map(read).collect();
        self.names.clear();
        self.lists.clear();
        for entry in &self.entries {
            // The first entry of a name counts, as it does for skopeo and regctl.
            let digest = || entry.manifest.digest.clone();
            match &entry.name {
                Some(Name::Tag(repository, tag)) => {
                    let tags = self.names.entry(repository.clone()).or_default();
                    tags.entry(tag.clone()).or_insert_with(digest);
                }
                Some(Name::Referrers(tag)) => {
                    self.lists.entry(tag.clone()).or_insert_with(digest);
                }
                None => {}
            }
        }
    }

    fn values(&self) -> &[Value] {
        self.document.get("manifests").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The document's bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        Value::Object(self.document.clone()).to_string().into_bytes()
    }

    /// The entries that can be read.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The repositories and their tags.
    pub(super) fn names(&self) -> &BTreeMap<Repository, BTreeMap<Tag, Digest>> {
        &self.names
    }

    /// What a name stands for.
    pub(super) fn find(&self, repository: &Repository, tag: &Tag) -> Option<&Digest> {
        self.names.get(repository)?.get(tag)
    }

    /// The list of a subject's referrers.
    pub(super) fn list(&self, subject: &Digest) -> Option<&Digest> {
        self.lists.get(&Tag::referrers_fallback(subject))
    }

    /// Replaces the list of a subject's referrers, or removes it.
    pub(super) fn set_list(&mut self, subject: &Digest, list: Option<&Descriptor>) {
        let tag = Tag::referrers_fallback(subject);
        let name = Some(Name::Referrers(tag.clone()));
        self.retain(|entry, _| entry.name != name);
        if let Some(list) = list {
            let mut list = list.clone();
            list.annotations.insert(REF_NAME.to_owned(), tag.to_string());
            self.push(&list);
        }
    }

    /// What the entries call a manifest.
    pub(super) fn media_type(&self, digest: &Digest) -> Option<&MediaType> {
        self.entries
            .iter()
            .map(|entry| &entry.manifest)
            .find(|it| it.digest == *digest)
            .map(|it| &it.media_type)
    }

    /// Makes a name stand for a manifest, and for nothing else.
    pub(super) fn set(&mut self, repository: &Repository, tag: &Tag, manifest: &Descriptor) {
        let mut manifest = manifest.clone();
        manifest.annotations.insert(REF_NAME.to_owned(), format!("{repository}:{tag}"));
        let name = Some(Name::Tag(repository.clone(), tag.clone()));
        let digest = &manifest.digest;
        // An entry without any name has become superfluous.
        let superseded =
            |entry: &Entry, named: bool| entry.name == name || (!named && entry.manifest.digest == *digest);
        self.retain(|entry, named| !superseded(entry, named));
        self.push(&manifest);
    }

    /// Has an entry for a manifest that is to be found without a name.
    pub(super) fn add(&mut self, manifest: &Descriptor) {
        if self.media_type(&manifest.digest).is_none() {
            self.push(manifest);
        }
    }

    fn push(&mut self, manifest: &Descriptor) {
        let list = self.document.entry("manifests").or_insert_with(|| json!([]));
        // `null`, or a list that is none, held nothing that could be read.
        if !list.is_array() {
            *list = json!([]);
        }
        if let Some(list) = list.as_array_mut() {
            list.push(json!(manifest));
        }
        self.read_entries();
    }

    /// Keeps the entries for which `keep` says so, given the entry and whether it has any name at all,
    /// and those that cannot be read. Says how many went.
    pub(super) fn retain(&mut self, keep: impl Fn(&Entry, bool) -> bool) -> usize {
        let before = self.values().len();
        let unnamed = self.unnamed.as_ref();
        if let Some(list) = self.document.get_mut("manifests").and_then(Value::as_array_mut) {
            list.retain(|value| {
                let named = value["annotations"][REF_NAME].is_string();
                Entry::read(value, unnamed).is_none_or(|entry| keep(&entry, named))
            });
        }
        self.read_entries();
        before - self.values().len()
    }
}

impl Entry {
    fn read(value: &Value, unnamed: Option<&Repository>) -> Option<Self> {
        use serde::Deserialize as _;
        let manifest = Descriptor::deserialize(value).ok()?;
        let name = manifest.annotations.get(REF_NAME).and_then(|text| parse_name(text, unnamed));
        Some(Self { name, manifest })
    }
}

/// `REPOSITORY:TAG`, or `TAG`. Everything else is a name that no registry has.
fn parse_name(text: &str, unnamed: Option<&Repository>) -> Option<Name> {
    if let Some((repository, tag)) = text.rsplit_once(':') {
        return Some(Name::Tag(repository.parse().ok()?, tag.parse().ok()?));
    }
    let tag = text.parse().ok()?;
    let is_list =
        text.strip_prefix("sha256-").is_some_and(|hex| format!("sha256:{hex}").parse::<Digest>().is_ok());
    if is_list { Some(Name::Referrers(tag)) } else { Some(Name::Tag(unnamed?.clone(), tag)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(name: &str) -> Repository {
        name.parse().expect("a repository")
    }

    fn tag(name: &str) -> Tag {
        name.parse().expect("a tag")
    }

    fn manifest(digit: char) -> Descriptor {
        let digest = format!("sha256:{}", digit.to_string().repeat(64)).parse().expect("a digest");
        Descriptor::new(MediaType::OCI_MANIFEST, digest, 7)
    }

    fn entry(digit: char, name: &str) -> Value {
        let mut value = json!(manifest(digit));
        value["annotations"] = json!({ REF_NAME: name });
        value
    }

    fn parse(document: &Value) -> Index {
        Index::parse(document.to_string().as_bytes(), Some(repository("folder"))).expect("an index")
    }

    #[test]
    fn names_of_other_tools_are_understood_or_passed_over() {
        let index = parse(&json!({ "manifests": [
            entry('a', "v1"),
            entry('b', "org/app:v1"),
            entry('c', "quay.io/org/app:v1"),
            entry('d', "localhost:5000/app:v1"),
            entry('e', "../../etc/passwd"),
            entry('f', ""),
            { "digest": "sha256:../../etc/passwd", "mediaType": "x", "size": 1 },
            { "digest": manifest('a').digest, "size": -1 },
            null, 7, [],
        ] }));
        let names: Vec<String> = index
            .names()
            .iter()
            .flat_map(|(repository, tags)| tags.keys().map(move |tag| format!("{repository}:{tag}")))
            .collect();
        assert_eq!(names, ["folder:v1", "org/app:v1", "quay.io/org/app:v1"]);
        assert_eq!(index.entries().len(), 6);
    }

    #[test]
    fn documents_that_are_no_index_do_not_panic() {
        for document in [json!({}), json!({ "manifests": null }), json!({ "manifests": { "a": 1 } })] {
            let mut index = parse(&document);
            assert_eq!(index.entries().len(), 0);
            index.set(&repository("a"), &tag("1"), &manifest('a'));
            assert_eq!(index.find(&repository("a"), &tag("1")), Some(&manifest('a').digest));
        }
        assert!(Index::parse(b"[]", None).is_err());
        assert!(Index::parse(b"", None).is_err());
    }

    #[test]
    fn what_is_not_understood_is_kept() {
        let unknown = json!({ "digest": "md5:00", "x": [1.50] });
        let mut index = parse(&json!({ "x-tool": 1, "manifests": [unknown, entry('a', "v1")] }));
        index.set(&repository("folder"), &tag("v1"), &manifest('b'));
        let written: Value = serde_json::from_slice(&index.to_bytes()).expect("JSON");
        assert_eq!(written["x-tool"], 1);
        assert_eq!(written["manifests"][0], unknown);
        assert_eq!(written["manifests"].as_array().map(Vec::len), Some(2));
        assert_eq!(written["manifests"][1]["annotations"][REF_NAME], "folder:v1");
    }

    #[test]
    fn a_name_takes_the_place_of_an_entry_without_one() {
        let mut index = Index::empty(None);
        index.add(&manifest('a'));
        index.add(&manifest('a'));
        assert_eq!(index.entries().len(), 1);
        index.set(&repository("a"), &tag("1"), &manifest('a'));
        index.set(&repository("b"), &tag("1"), &manifest('a'));
        assert_eq!(index.entries().len(), 2);
        index.add(&manifest('a'));
        assert_eq!(index.entries().len(), 2);
    }
}
