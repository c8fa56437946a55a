//! The keys of a mapping: which are known, which were meant, which are there twice.

use super::diagnostic::{Diagnostics, Place, Reported, nearest, quoted};
use super::yaml::{Node, Value};

/// Which keys a mapping may have.
pub(crate) struct Keys {
    /// What the mapping is, to fit "… has no key `x`".
    pub(crate) of: &'static str,
    /// The keys.
    pub(crate) known: &'static [&'static str],
    /// Keys that kyma's image-syncer had, each with what it means today.
    pub(crate) legacy: &'static [(&'static str, &'static str)],
}

/// A key whose value is a list of texts.
pub(crate) struct ListKey {
    /// The key.
    pub(crate) key: &'static str,
    /// The most items that it may have.
    pub(crate) most: usize,
    /// A list as it may be written.
    pub(crate) example: &'static str,
    /// What taking the key out means, to fit "take the key out …".
    pub(crate) when_empty: &'static str,
    /// Whether a text that stands where the list belongs is one of its items.
    pub(crate) is_item: fn(&str) -> bool,
}

/// The values of a mapping by key.
pub(crate) struct Fields<'a> {
    fields: Vec<(&'a str, Place, &'a Node)>,
    /// Known keys that unknown ones were probably meant to be.
    meant: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Sorts the keys of a mapping into known, legacy (warned about) and unknown ones (faults).
    pub(crate) fn read(pairs: &'a [(Node, Node)], keys: &Keys, diagnostics: &mut Diagnostics) -> Self {
        let mut fields: Vec<(&str, Place, &Node)> = Vec::new();
        let mut meant = Vec::new();
        for (key, value) in pairs {
            let Value::Scalar { text: name } = &*key.value else {
                diagnostics.fault(key.place, format!("a key is a word; this one is {}", described(key)));
                continue;
            };
            if let Some((_, first, _)) = fields.iter().find(|(known, ..)| known == name) {
                let line = first.line;
                diagnostics.fault(
                    key.place,
                    format!("{} is here twice, first on line {line}; keep one", quoted(name)),
                );
                continue;
            }
            if let Some((_, today)) = keys.legacy.iter().find(|(legacy, _)| legacy == name) {
                diagnostics.warning(key.place, format!("`{name}` is a legacy key: {today}"));
            } else if !keys.known.contains(&name.as_str()) {
                let hint = if let Some(nearest) = nearest(name, keys.known) {
                    meant.push(nearest);
                    format!("did you mean `{nearest}`?")
                } else {
                    format!("its keys are {}", listed(keys.known))
                };
                diagnostics.fault(key.place, format!("{} has no key {}; {hint}", keys.of, quoted(name)));
                continue;
            }
            fields.push((name, key.place, value));
        }
        Self { fields, meant }
    }

    /// A key's value.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        self.fields.iter().find(|(name, ..)| *name == key).map(|(.., value)| *value)
    }

    /// Whether a key that is not known was probably meant to be this one, which has been said.
    pub(crate) fn was_meant(&self, key: &str) -> bool {
        self.meant.contains(&key)
    }

    /// A key's value, if the key is there, which must be text: not empty, no list, no mapping.
    pub(crate) fn text(
        &self,
        key: &str,
        diagnostics: &mut Diagnostics,
    ) -> Result<Option<(&'a str, Place)>, Reported> {
        let Some(node) = self.get(key) else { return Ok(None) };
        match &*node.value {
            Value::Scalar { text } if text.is_empty() => Err(diagnostics
                .fault(node.place, format!("`{key}` has no value; write one, or take the key out"))),
            Value::Scalar { text } => Ok(Some((text, node.place))),
            Value::List(_) | Value::Mapping(_) => {
                Err(diagnostics.fault(node.place, format!("`{key}` is a text; this is {}", described(node))))
            }
        }
    }

    /// A key's values, if the key is there, which must be a list with something in it.
    pub(crate) fn list(&self, key: &ListKey, diagnostics: &mut Diagnostics) -> Result<&'a [Node], Reported> {
        let ListKey { key, most, example, when_empty, is_item } = *key;
        let Some(node) = self.get(key) else { return Ok(&[]) };
        let message = match &*node.value {
            Value::List(nodes) if nodes.len() > most => {
                format!("`{key}` has {} of them; {most} are the most", nodes.len())
            }
            Value::List(nodes) if !nodes.is_empty() => return Ok(nodes),
            Value::List(_) => {
                format!("`{key}` is empty; name at least one, or take the key out {when_empty}")
            }
            Value::Scalar { text } if text.is_empty() => {
                format!("`{key}` has no value; name at least one, or take the key out {when_empty}")
            }
            Value::Scalar { text } if is_item(text) => {
                format!("`{key}` is a list; write `{key}: [\"{text}\"]`")
            }
            _ => format!("`{key}` is a list such as `{example}`; this is {}", described(node)),
        };
        Err(diagnostics.fault(node.place, message))
    }

    /// Checks that a key, if it is there, is a boolean.
    pub(crate) fn check_boolean(&self, key: &str, diagnostics: &mut Diagnostics) {
        let Some(node) = self.get(key) else { return };
        let words = ["true", "false", "yes", "no", "on", "off"];
        let is_boolean =
            matches!(&*node.value, Value::Scalar { text } if words.contains(&text.to_lowercase().as_str()));
        if !is_boolean {
            diagnostics.fault(node.place, format!("`{key}` is true or false; this is {}", described(node)));
        }
    }
}

/// What a value is, for messages.
pub(crate) fn described(node: &Node) -> String {
    match &*node.value {
        Value::Scalar { text } if text.is_empty() => "empty".to_owned(),
        Value::Scalar { text } => format!("the text {}", quoted(text)),
        Value::List(_) => "a list".to_owned(),
        Value::Mapping(_) => "a mapping".to_owned(),
    }
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
