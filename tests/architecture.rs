//! Which part may use which, read from the sources themselves: whoever adds an arrow sees it here.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so and ends")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// The parts, each with those that it may use. None may use one that stands below it.
const MAY_USE: [(&str, &[&str]); 28] = [
    ("oci", &[]),
    ("duration", &[]),
    ("secret", &[]),
    ("login", &[]),
    ("shard", &["oci"]),
    ("cli", &["duration", "secret", "shard"]),
    ("github", &[]),
    ("verify", &["oci"]),
    ("config", &["oci"]),
    ("policy", &["oci", "login", "verify", "config"]),
    ("plan", &["oci", "config", "policy"]),
    ("store", &["oci"]),
    ("event", &["plan"]),
    ("fault", &["plan", "store"]),
    ("walk", &["oci", "plan", "store"]),
    ("trust", &["oci", "verify", "plan", "store", "fault", "walk"]),
    ("inspect", &["oci", "verify", "config", "policy", "plan", "store", "event", "fault", "walk", "trust"]),
    ("copy", &["oci", "plan", "store", "event", "fault"]),
    ("registry", &["oci", "duration", "secret", "login", "store"]),
    ("layout", &["oci", "store"]),
    ("serve", &["oci", "store"]),
    ("report", &["oci", "shard", "config", "plan"]),
    ("doctor", &["registry", "report"]),
    ("pin", &["oci", "config", "policy", "store", "report"]),
    ("explain", &["oci", "config", "policy", "report"]),
    ("console", &["event", "report"]),
    (
        "command",
        &[
            "oci", "secret", "login", "shard", "verify", "cli", "config", "policy", "plan", "store", "event",
            "trust", "inspect", "copy", "registry", "layout", "serve", "report", "doctor", "pin", "explain",
            "console", "github",
        ],
    ),
    ("main", &["cli", "command", "console"]),
];

/// The most lines that a file may have before its tests.
const LONGEST: usize = 450;

/// A file below `src/`, and where its module is: `["registry", "client"]`; the crate's root is `[]`.
struct Source {
    path: PathBuf,
    module: Vec<String>,
    text: String,
}

impl Source {
    /// The part that the file belongs to; `None` for the crate's root, which declares the parts.
    fn part(&self) -> Option<&str> {
        self.module.first().map(String::as_str)
    }

    /// Whether the file has tests and nothing else.
    fn is_test(&self) -> bool {
        matches!(self.module.last().map(String::as_str), Some("tests" | "sample"))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<Source> {
    let mut folders = vec![root()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a text");
                sources.push(Source { module: module_of(&path), text, path });
            }
        }
    }
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(sources.len() > 50, "only {} sources were found", sources.len());
    sources
}

fn module_of(path: &Path) -> Vec<String> {
    let below = path.strip_prefix(root()).expect("a file below src").with_extension("");
    let mut module: Vec<String> =
        below.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    module
}

/// Collects the parts that a file uses, by every path that it has: in `use`, in types, in expressions, in
/// visibilities and in the arguments of macros.
struct Uses {
    module: Vec<String>,
    found: BTreeSet<String>,
    /// What a `pub use` hands on from another part.
    handed_on: BTreeSet<String>,
}

impl Uses {
    fn of(source: &Source) -> Self {
        let file = syn::parse_file(&source.text).expect("Rust");
        let mut uses =
            Self { module: source.module.clone(), found: BTreeSet::new(), handed_on: BTreeSet::new() };
        uses.visit_file(&file);
        uses.found.retain(|part| source.part() != Some(part));
        uses.handed_on.retain(|part| source.part() != Some(part));
        uses
    }

    /// The part that a path leads to, if it begins at the crate's root, here or above.
    fn part_of(&self, path: &[String]) -> Option<String> {
        let mut module = match path.first()?.as_str() {
            "image_syncer" | "crate" => Vec::new(),
            "self" | "super" => self.module.clone(),
            _ => return None,
        };
        for step in path {
            match step.as_str() {
                "image_syncer" | "crate" | "self" => {}
                "super" => {
                    module.pop();
                }
                name => {
                    module.push(name.to_owned());
                    break;
                }
            }
        }
        module.first().cloned()
    }

    fn note(&mut self, path: &[String]) {
        self.found.extend(self.part_of(path));
    }

    fn note_tree(&mut self, prefix: &[String], tree: &syn::UseTree, is_public: bool) {
        let mut path = prefix.to_vec();
        match tree {
            syn::UseTree::Path(step) => {
                path.push(step.ident.to_string());
                return self.note_tree(&path, &step.tree, is_public);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.note_tree(&path, tree, is_public);
                }
                return;
            }
            syn::UseTree::Name(name) => path.push(name.ident.to_string()),
            syn::UseTree::Rename(rename) => path.push(rename.ident.to_string()),
            syn::UseTree::Glob(_) => {}
        }
        self.note(&path);
        if is_public {
            self.handed_on.extend(self.part_of(&path));
        }
    }
}

impl<'ast> Visit<'ast> for Uses {
    /// Tests may use what they need to make a case.
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let is_test = |attribute: &syn::Attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|ident| ident == "test")
        };
        if module.attrs.iter().any(is_test) {
            return;
        }
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.note_tree(&[], &item.tree, !matches!(item.vis, syn::Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let steps: Vec<String> = path.segments.iter().map(|step| step.ident.to_string()).collect();
        self.note(&steps);
        visit::visit_path(self, path);
    }

    /// The arguments of a macro are not parsed; their paths are found in the text of their tokens.
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let text = call.tokens.to_string().replace(' ', "");
        for start in ["crate::", "super::"] {
            for (at, _) in text.match_indices(start) {
                let end = text[at..].find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
                let path = &text[at..end.map_or(text.len(), |end| at + end)];
                let steps: Vec<String> = path.split("::").map(str::to_owned).collect();
                self.note(&steps);
            }
        }
        visit::visit_macro(self, call);
    }
}

/// No file imports one above it in the layering.
#[test]
fn each_part_uses_only_what_it_may() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let uses = Uses::of(source);
        let Some(part) = source.part() else {
            assert_eq!(uses.found, BTreeSet::new(), "the crate's root declares the parts and uses none");
            continue;
        };
        let Some(may_use) = allowed.get(part) else {
            faults.push(format!("{}: `{part}` has no row in MAY_USE", source.path.display()));
            continue;
        };
        for used in uses.found.iter().filter(|used| !may_use.contains(&used.as_str())) {
            faults.push(format!("{}: `{part}` uses `{used}`", source.path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What one part hands on from another would be used without being named.
#[test]
fn no_part_hands_on_what_belongs_to_another() {
    let mut faults = Vec::new();
    for source in sources() {
        for part in Uses::of(&source).handed_on {
            faults.push(format!("{}: hands on from `{part}`", source.path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Each part uses only parts that stand above it in the table, so that nothing can lead in a circle.
#[test]
fn the_table_has_no_circle() {
    for (place, (part, may_use)) in MAY_USE.iter().enumerate() {
        for used in *may_use {
            let before = MAY_USE[..place].iter().any(|(above, _)| above == used);
            assert!(before, "`{part}` may use `{used}`, which does not stand above it");
        }
    }
}

/// The test itself can fail: it sees through every way to write a path.
#[test]
fn every_way_to_write_a_path_is_seen() {
    let text = "
        use crate::{plan::Item, oci};
        pub use super::super::store::Source as Other;
        pub(in crate::walk) fn one() -> crate::event::Event { self::super::copy::go() }
        fn two() { println!(\"{}\", crate::layout::x(super::super::serve::y)); }
        mod inner { use super::super::super::trust::Sides; use super::*; }
        #[cfg(test)]
        mod tests { use crate::config::Config; }
        fn three() { std::mem::take::<image_syncer::report::Report>(&mut 0); registry::local(); }
    ";
    let module = vec!["inspect".to_owned(), "deep".to_owned()];
    let uses = Uses::of(&Source { path: PathBuf::new(), module, text: text.to_owned() });
    let found: Vec<&str> = uses.found.iter().map(String::as_str).collect();
    // `self::super` is the part itself: `copy` is a module of `inspect` there.
    assert_eq!(found, ["event", "layout", "oci", "plan", "report", "serve", "store", "trust", "walk"]);
    assert_eq!(uses.handed_on, BTreeSet::from(["store".to_owned()]));
}

/// One noun a file: what is longer is asked which second noun is in it.
#[test]
fn no_file_is_too_long() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let lines = source.text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        if lines > LONGEST {
            faults.push(format!("{} has {lines} lines; {LONGEST} are the most", source.path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The lint of the manifest holds for all that Cargo builds, and what is forbidden cannot be allowed again.
/// ARCHITECTURE.md and SECURITY.md name tests, in words of four parts or more, that hold what they say.
#[test]
fn the_tests_that_the_architecture_names_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = ["ARCHITECTURE.md", "SECURITY.md"]
        .map(|name| fs::read_to_string(root.join(name)).expect(name))
        .concat();
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        collect(&root.join(folder), &mut files);
    }
    let code: String = files.iter().map(|file| fs::read_to_string(file).expect("a source")).collect();
    let named: Vec<&str> = text
        .split('`')
        .filter(|word| {
            word.split('_').count() > 3 && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        })
        .collect();
    assert!(named.len() > 30, "{named:?}");
    let missing: Vec<&&str> = named.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(!text.contains('…') || !text.contains("(test: …"), "a test is to be named");
}

/// All Rust files below a folder.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn unsafe_code_is_forbidden() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    let manifest = manifest.expect("a manifest");
    let lints: Vec<&str> = manifest
        .lines()
        .skip_while(|line| *line != "[lints.rust]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .collect();
    assert!(lints.contains(&"unsafe_code = \"forbid\""), "{lints:?}");
    for source in sources() {
        let mut finder = Unsafe(false);
        finder.visit_file(&syn::parse_file(&source.text).expect("Rust"));
        assert!(!finder.0, "{} has unsafe code", source.path.display());
    }
    let mut finder = Unsafe(false);
    finder.visit_file(&syn::parse_file("fn f() { unsafe { g() } }").expect("Rust"));
    assert!(finder.0);
}

struct Unsafe(bool);

impl<'ast> Visit<'ast> for Unsafe {
    fn visit_expr_unsafe(&mut self, _: &'ast syn::ExprUnsafe) {
        self.0 = true;
    }
}
