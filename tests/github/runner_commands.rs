//! How GitHub's runner finds commands in a step's output, written anew from what it does. It reads lines that end in
//! CR, LF or both, tries `::name key=value::data` first and then `##[name key=value]data`.
//!
//! It compares as a language's collation does, which does not see some characters. [`Sight`] has both ways.

use std::collections::BTreeMap;

/// How text is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Character by character, as where no languages are installed.
    Ordinal,
    /// As a collation, to which some characters are nothing.
    Collation,
}

/// A command that the runner would obey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) name: String,
    /// By name; the runner does not mind their case.
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) data: String,
}

/// What a command may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// As the runner has it.
    Registered,
    /// Anything: what is no command even so will be none in years.
    Any,
}

const REGISTERED: [&str; 16] = [
    "add-mask",
    "add-matcher",
    "add-path",
    "debug",
    "echo",
    "endgroup",
    "error",
    "group",
    "internal-set-repo-path",
    "notice",
    "remove-matcher",
    "save-state",
    "set-env",
    "set-output",
    "stop-commands",
    "warning",
];

impl Names {
    fn know(self, name: &str) -> bool {
        self == Self::Any || REGISTERED.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// The lines that the runner makes of an output.
pub(crate) fn lines(output: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = output;
    while let Some(end) = rest.find(['\r', '\n']) {
        lines.push(&rest[..end]);
        rest = rest[end..].strip_prefix("\r\n").unwrap_or_else(|| &rest[end + 1..]);
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// The command that a line is, if it is one.
pub(crate) fn command(line: &str, sight: Sight, names: Names) -> Option<Command> {
    new_form(line, sight, names).or_else(|| old_form(line, sight, names))
}

fn new_form(line: &str, sight: Sight, names: Names) -> Option<Command> {
    let line: Vec<char> = line.trim_start().chars().collect();
    if find(&line, "::", 0, sight)? != 0 {
        return None;
    }
    let end = find(&line, "::", 2, sight)?;
    let properties = |text: &str| parts(text.trim(), ',', &["\r%0D", "\n%0A", ":%3A", ",%2C", "%%25"]);
    let (name, properties) = info(&line[2..end], names, properties)?;
    let data = line.get(end + 2..).unwrap_or_default().iter().collect::<String>();
    Some(Command { name, properties, data: unescaped(&data, &["\r%0D", "\n%0A", "%%25"]) })
}

fn old_form(line: &str, sight: Sight, names: Names) -> Option<Command> {
    const ESCAPES: [&str; 5] = [";%3B", "\r%0D", "\n%0A", "]%5D", "%%25"];
    let line: Vec<char> = line.chars().collect();
    let start = find(&line, "##[", 0, sight)?;
    let end = start + line[start..].iter().position(|c| *c == ']')?;
    let (name, properties) = info(line.get(start + 3..end)?, names, |text| parts(text, ';', &ESCAPES))?;
    let data: String = line[end + 1..].iter().collect();
    Some(Command { name, properties, data: unescaped(&data, &ESCAPES) })
}

fn info(
    info: &[char],
    names: Names,
    properties: impl Fn(&str) -> BTreeMap<String, String>,
) -> Option<(String, BTreeMap<String, String>)> {
    let info: String = info.iter().collect();
    let (name, rest) = info.split_once(' ').unwrap_or((&info, ""));
    names.know(name).then(|| (name.to_owned(), properties(rest)))
}

/// `key=value` parts. Empty parts are dropped on both levels: `a==b` is `a` and `b`, and `a=` is nothing.
fn parts(text: &str, separator: char, escapes: &[&str]) -> BTreeMap<String, String> {
    let pair = |part: &str| {
        let (key, value) = part.trim_start_matches('=').split_once('=')?;
        let value = value.trim_start_matches('=');
        (!value.is_empty()).then(|| (key.to_ascii_lowercase(), unescaped(value, escapes)))
    };
    text.split(separator).filter_map(pair).collect()
}

/// One escape after the other, each a character and what stands for it.
fn unescaped(text: &str, escapes: &[&str]) -> String {
    escapes.iter().fold(text.to_owned(), |text, escape| text.replace(&escape[1..], &escape[..1]))
}

/// Where a needle begins. With a collation, characters that it does not see may stand before and between.
fn find(text: &[char], needle: &str, from: usize, sight: Sight) -> Option<usize> {
    let is_seen = |c: &&char| sight == Sight::Ordinal || !is_ignorable(**c);
    (from..text.len()).find(|start| {
        let mut seen = text[*start..].iter().filter(is_seen);
        needle.chars().all(|c| seen.next() == Some(&c))
    })
}

/// What a collation does not see: control characters that are no white space, and Unicode's "default ignorable".
fn is_ignorable(c: char) -> bool {
    (c.is_control() && !c.is_whitespace())
        || matches!(u32::from(c),
            0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f
            | 0x202a..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb
            | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff)
}

#[test]
fn what_the_runner_obeys_is_found() {
    let found = |line| {
        let command = command(line, Sight::Ordinal, Names::Registered)?;
        let properties: Vec<String> =
            command.properties.iter().map(|(key, value)| format!("{key}={value}")).collect();
        Some(format!("{}|{}|{}", command.name, properties.join(","), command.data))
    };
    for (line, expected) in [
        ("::error::x", "error||x"),
        (
            "\u{2003}\t ::Error file=a%2Cb,line=1,,title==t,col=::x%0Ay%2525",
            "Error|file=a,b,line=1,title=t|x\ny%25",
        ),
        ("::set-env name=PATH::a::b", "set-env|name=PATH|a::b"),
        ("see ##[set-output name=a;b=%3B%5D]v%3B", "set-output|b=;],name=a|v;"),
        ("::endgroup::", "endgroup||"),
        ("::unknown:: ##[warning]y", "warning||y"),
    ] {
        assert_eq!(found(line).as_deref(), Some(expected), "{line}");
    }
    for line in ["", "x ::error::x", "::error", ": :error::x", "## [error]x", "##[error x", "::unknown::x"] {
        assert_eq!(found(line), None, "{line}");
    }
    assert!(command("\u{200b}::\u{ad}:error::x", Sight::Collation, Names::Any).is_some());
    assert!(command("\u{200b}::error::x", Sight::Ordinal, Names::Any).is_none());
    assert_eq!(lines("a\r\nb\rc\n\nd"), ["a", "b", "c", "", "d"]);
}
