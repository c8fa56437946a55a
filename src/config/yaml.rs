//! YAML as a tree that keeps each value's text and place.
//!
//! Deserialising into types stops at the first fault and guesses at types (`1.20` becomes a number). Here
//! the events of serde-saphyr's parser become a [`Node`] tree in which every scalar is the text that
//! somebody wrote, so that a list can be checked as a whole. Untrusted input: nesting is bounded by the
//! parser, size by [`MAX_NODES`], with which an alias counts as all that it stands for.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use serde_saphyr::granit_parser::{self, ErrorKind, Event, Parser, ScalarStyle, ScanError, Span};

use super::MAX_BYTES;
use super::diagnostic::Place;
use super::file::FileKind;

/// The most values in a document, those that aliases stand for counted each time.
const MAX_NODES: usize = 500_000;
/// The deepest nesting; a list needs four, a policy two.
const MAX_NESTING: usize = 16;

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    /// The bytes of a scalar as it is written: with its quotes, but without anchor, tag and the head of a block. An
    /// alias has those of the scalar that it stands for; what is no scalar has none.
    pub(crate) bytes: Range<usize>,
    pub(crate) value: Rc<Value>,
}

/// A YAML value whose scalars are text.
#[derive(Debug)]
pub(crate) enum Value {
    /// A scalar's text; empty for a value that is not there, or that is YAML's null.
    Scalar {
        /// What was written, without quotes and escapes.
        text: String,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping, in its order; keys may be there twice.
    Mapping(Vec<(Node, Node)>),
}

/// Why a text is not one YAML document.
#[derive(Debug)]
pub(crate) struct YamlError {
    pub(crate) place: Place,
    pub(crate) message: String,
}

/// Reads the one document of `text`, a file of this kind.
///
/// The value is `None` if there is nothing but blanks and comments. A fault can come with a value: that of
/// a first document that is whole, so that its own faults can be said too.
pub(crate) fn parse(text: &str, kind: &FileKind) -> (Option<Node>, Option<YamlError>) {
    if text.len() > MAX_BYTES {
        let FileKind { word, when_large, .. } = kind;
        let message =
            format!("the {word} has {} bytes; {MAX_BYTES} (5 MiB) are the most: {when_large}", text.len());
        return (None, Some(YamlError { place: Place::START, message }));
    }
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MAX_NESTING,
        block_nesting_limit: MAX_NESTING,
    };
    let mut builder = Builder::new(kind);
    for event in Parser::new_from_str_with_options(text, options) {
        let taken = match event {
            Ok((event, span)) => builder.take(event, &span),
            Err(error) => Err(syntax_error(&error, kind)),
        };
        if let Err(error) = taken {
            return (builder.root, Some(error));
        }
    }
    (builder.root, None)
}

/// A list or a mapping whose end has not come yet.
struct Open {
    place: Place,
    anchor: usize,
    /// What the values inside count, for aliases to this one.
    weight: usize,
    is_mapping: bool,
    nodes: Vec<Node>,
}

/// What an alias stands for.
struct Anchored {
    value: Rc<Value>,
    bytes: Range<usize>,
    weight: usize,
}

struct Builder<'a> {
    kind: &'a FileKind,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    weight: usize,
    documents: usize,
    root: Option<Node>,
}

impl<'a> Builder<'a> {
    fn new(kind: &'a FileKind) -> Self {
        Self { kind, open: Vec::new(), anchors: HashMap::new(), weight: 0, documents: 0, root: None }
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), YamlError> {
        let place = place(&span.start);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(YamlError {
                        place,
                        message: format!(
                            "a second YAML document begins here; a {} is one document: {}",
                            self.kind.word, self.kind.when_several
                        ),
                    });
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = matches!(style, ScalarStyle::Plain) && tag.is_none();
                // The parser writes a value that is not there as `~`, at a place without length.
                let is_nothing = span.is_empty() || is_plain && !self.is_key() && is_null(&text);
                let text = if is_nothing { String::new() } else { text.into_owned() };
                let value = Rc::new(Value::Scalar { text });
                let bytes = span.byte_range().unwrap_or_default();
                self.add(Node { place, bytes, value }, anchor, 1)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open.push(Open { place, anchor, weight: 1, is_mapping: false, nodes: Vec::new() });
                Ok(())
            }
            Event::MappingStart(_, anchor, _) => {
                self.open.push(Open { place, anchor, weight: 1, is_mapping: true, nodes: Vec::new() });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(Anchored { value, bytes, weight }) => {
                    let (value, bytes, weight) = (Rc::clone(value), bytes.clone(), *weight);
                    self.add(Node { place, bytes, value }, 0, weight)
                }
                None => Err(YamlError {
                    place,
                    message: "this alias stands for a value that holds the alias itself; write the value out"
                        .to_owned(),
                }),
            },
            _ => Ok(()),
        }
    }

    /// Whether what comes next is a key of a mapping.
    fn is_key(&self) -> bool {
        self.open.last().is_some_and(|open| open.is_mapping && open.nodes.len().is_multiple_of(2))
    }

    fn close(&mut self) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = if open.is_mapping {
            let mut nodes = open.nodes.into_iter();
            let mut pairs = Vec::with_capacity(nodes.len() / 2);
            while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
                pairs.push((key, value));
            }
            Value::Mapping(pairs)
        } else {
            Value::List(open.nodes)
        };
        // The values inside have been counted when they came.
        self.weight -= open.weight - 1;
        self.add(Node { place: open.place, bytes: 0..0, value: Rc::new(value) }, open.anchor, open.weight)
    }

    fn add(&mut self, node: Node, anchor: usize, weight: usize) -> Result<(), YamlError> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight > MAX_NODES {
            return Err(YamlError {
                place: node.place,
                message: format!(
                    "the file has more than {MAX_NODES} values, with aliases written out; {}",
                    self.kind.when_large
                ),
            });
        }
        if anchor != 0 {
            let (value, bytes) = (Rc::clone(&node.value), node.bytes.clone());
            self.anchors.insert(anchor, Anchored { value, bytes, weight });
        }
        match self.open.last_mut() {
            Some(open) => {
                open.weight += weight;
                open.nodes.push(node);
            }
            None => self.root = Some(node),
        }
        Ok(())
    }
}

/// The ways to write that there is no value. Who means the word puts it into quotes.
fn is_null(text: &str) -> bool {
    matches!(text, "~" | "null" | "Null" | "NULL")
}

fn syntax_error(error: &ScanError, kind: &FileKind) -> YamlError {
    let nesting = format!("a {} needs no such nesting", kind.word);
    let what_to_do = match error.kind() {
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation => "indent with spaces instead of tabs",
        ErrorKind::UnknownAnchor => "define it with `&` further up, or write the value out",
        ErrorKind::RecursionLimitExceeded => &nesting,
        _ => "look for a missing quote or `:`, or for a wrong indentation, here and just above",
    };
    YamlError {
        place: place(error.marker()),
        message: format!("this is not YAML: {}; {what_to_do}", error.info()),
    }
}

fn place(marker: &granit_parser::Marker) -> Place {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Place { line: number(marker.line()).max(1), column: number(marker.col()).saturating_add(1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::list::LIST;

    fn show(node: &Node) -> String {
        match &*node.value {
            Value::Scalar { text } => text.clone(),
            Value::List(nodes) => format!("[{}]", nodes.iter().map(show).collect::<Vec<_>>().join(" ")),
            Value::Mapping(pairs) => {
                let pairs: Vec<_> =
                    pairs.iter().map(|(key, value)| format!("{}={}", show(key), show(value))).collect();
                format!("{{{}}}", pairs.join(" "))
            }
        }
    }

    fn check(text: &str) -> String {
        match parse(text, &LIST) {
            (Some(node), None) => show(&node),
            (None, None) => "nothing".to_owned(),
            (_, Some(error)) => format!("{}:{}: {}", error.place.line, error.place.column, error.message),
        }
    }

    #[test]
    fn scalars_keep_their_text() {
        for text in ["1.20", "0x10", "1e3", "yes", "nil", "2024-01-02", "0o17", "+1", ".5", "true", "1_000"] {
            assert_eq!(check(text), text);
            assert_eq!(check(&format!("\"{text}\"")), text);
        }
        assert_eq!(check("a: \"x\\u0041\"\nb: 'it''s'"), "{a=xA b=it's}");
    }

    #[test]
    fn null_is_no_text_unless_it_is_quoted() {
        for text in ["null", "Null", "NULL", "~", ""] {
            assert_eq!(check(&format!("a: {text}\nb: 1")), "{a= b=1}");
        }
        assert_eq!(check("[a, ~, {b: null}, {c: }]"), "[a  {b=} {c=}]");
        for text in ["\"null\"", "'~'", "!!str null"] {
            assert_eq!(
                check(&format!("a: {text}")),
                format!("{{a={}}}", text.trim_matches(['"', '\'']).trim_start_matches("!!str "))
            );
        }
        assert_eq!(check("null: 1"), "{null=1}");
    }

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let root = parse("\u{feff}# é\nkey: é\nlist:\n  - {é: x}\n", &LIST).0.expect("a document");
        let Value::Mapping(pairs) = &*root.value else { panic!("a mapping") };
        let places: Vec<_> = pairs
            .iter()
            .flat_map(|(key, value)| [key.place, value.place])
            .map(|place| (place.line, place.column))
            .collect();
        assert_eq!(places, [(2, 1), (2, 6), (3, 1), (4, 3)]);
    }

    #[test]
    fn a_scalar_knows_the_bytes_that_it_is_written_with() {
        let text = "\u{feff}# é\r\na: &x é  # c\r\nb: !!str 'it''s'\nc: [\"q\\x41\", p ]\nd: *x\ne: |- # c\n  text\n# c\nf: >-\n  g";
        let root = parse(text, &LIST).0.expect("a document");
        let Value::Mapping(pairs) = &*root.value else { panic!("a mapping") };
        let mut written = Vec::new();
        for (_, value) in pairs {
            let inner = match &*value.value {
                Value::List(nodes) => nodes.as_slice(),
                _ => std::slice::from_ref(value),
            };
            written.extend(inner.iter().map(|node| text[node.bytes.clone()].trim_end()));
        }
        assert_eq!(written, ["é", "'it''s'", "\"q\\x41\"", "p", "é", "text", "g"]);
    }

    #[test]
    fn what_is_not_one_document_is_said() {
        assert_eq!(check("# only a comment\n"), "nothing");
        assert_eq!(check(""), "nothing");
        assert_eq!(
            check("a: 1\n---\nb: 2\n"),
            "2:1: a second YAML document begins here; a list is one document: join them, or put this one into a \
             file of its own"
        );
        assert!(check("a: \"b\n").starts_with("2:1: this is not YAML: "), "{}", check("a: \"b\n"));
        assert!(check("a:\n\t- b\n").contains("spaces instead of tabs"), "{}", check("a:\n\t- b\n"));
        assert!(check("a: *b\n").contains("define it with `&`"), "{}", check("a: *b\n"));
    }

    #[test]
    fn aliases_are_values_and_bombs_do_not_explode() {
        assert_eq!(check("[&a {x: 1}, *a]"), "[{x=1} {x=1}]");
        assert!(check("&a [*a]").contains("holds the alias itself"));
        let levels = (1..40).map(|level| {
            let below = level - 1;
            format!("a{level}: &a{level} [{}]\n", format!("*a{below}, ").repeat(9))
        });
        let bomb = "a0: &a0 x\n".to_owned() + &levels.collect::<Vec<_>>().concat();
        assert!(check(&bomb).contains("more than 500000 values"), "{}", check(&bomb));
    }

    #[test]
    fn nesting_is_bounded() {
        assert!(check(&"[".repeat(100_000)).contains("a list needs no such nesting"));
        let block = (0..1000).map(|depth| " ".repeat(depth) + "a:\n").collect::<String>();
        assert!(check(&block).contains("a list needs no such nesting"));
        assert!(check(&"- ".repeat(10_000)).contains("a list needs no such nesting"));
    }
}
