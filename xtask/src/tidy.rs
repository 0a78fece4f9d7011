//! `cargo xtask tidy`: the project's own rules, which no lint knows.

use crate::process::output;
use crate::process::project;
use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Longest source file, in lines before its tests.
const LONGEST: usize = 450;

/// Which layers a layer may name.
type Layers = BTreeMap<String, BTreeSet<String>>;

/// Prints every broken rule; fails if there is one.
pub(crate) fn run() -> Result<()> {
    let broken = broken_rules()?;
    for rule in &broken {
        println!("{rule}");
    }
    if !broken.is_empty() {
        bail!("tidy: {} rules broken", broken.len());
    }
    println!("tidy: every rule is kept");
    Ok(())
}

fn broken_rules() -> Result<Vec<String>> {
    let layers = layers(&fs::read_to_string(project().join("src/ARCHITECTURE.md"))?)?;
    let mut broken = Vec::new();
    let files =
        output(Command::new("git").current_dir(project()).args(["ls-files", "-co", "--exclude-standard"]))?;
    for name in files.lines() {
        // A file that is no text, or was deleted and not yet committed, has no rules.
        let Ok(text) = fs::read_to_string(project().join(name)) else { continue };
        check_paths(name, &text, &mut broken);
        if Path::new(name).extension().is_some_and(|extension| extension == "rs") {
            check_source(name, &text, &layers, &mut broken);
        }
    }
    Ok(broken)
}

/// Reads the table of ARCHITECTURE.md: the document is what is enforced.
fn layers(text: &str) -> Result<Layers> {
    let mut order: Vec<String> = Vec::new();
    let mut layers = Layers::new();
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [layer, .., may_name] = cells.as_slice() else { bail!("no layer in {row:?}") };
        let layer = layer.trim_matches('`').to_owned();
        order.push(layer.clone());
        let mut allowed: BTreeSet<String> = match may_name.split_once(" .. ") {
            Some((first, last)) => {
                let at = |name: &str| {
                    order
                        .iter()
                        .position(|known| known == name)
                        .with_context(|| format!("unknown layer in {row:?}"))
                };
                order[at(first)?..=at(last)?].iter().cloned().collect()
            }
            None if *may_name == "everything" => order.iter().cloned().collect(),
            None => may_name.split(", ").filter(|name| *name != "-").map(str::to_owned).collect(),
        };
        allowed.insert(layer.clone());
        layers.insert(layer, allowed);
    }
    Ok(layers)
}

fn check_paths(name: &str, text: &str, broken: &mut Vec<String>) {
    let homes = ["/root/", "/home/"].map(|home| format!("{home}."));
    for (number, line) in text.lines().enumerate() {
        if homes.iter().any(|home| line.contains(home.as_str())) {
            broken.push(format!("{name}:{}: names a path of one machine", number + 1));
        }
    }
}

fn check_source(name: &str, text: &str, layers: &Layers, broken: &mut Vec<String>) {
    let mut say = |number: usize, rule: &str| broken.push(format!("{name}:{number}: {rule}"));
    if !text.starts_with("//!") && !text.starts_with("#![doc") {
        say(1, "does not begin with `//!` and what the file is for");
    }
    let code: Vec<&str> = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").collect();
    if code.len() > LONGEST {
        say(code.len(), &format!("is longer than {LONGEST} lines"));
    }
    let layer = layer_of(name);
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.ends_with(' ') || line.contains('\t') {
            say(number, "trailing space or tab");
        }
        let is_code = index < code.len() && !line.trim_start().starts_with("//");
        if is_code && ["use crate::{", "super::super"].iter().any(|path| code_contains(line, path)) {
            say(number, "one `use crate::layer::Item;` a line, so that dependencies can be searched for");
        }
        if let Some(layer) = layer.filter(|_| is_code) {
            for other in named_layers(line).filter(|other| layers.contains_key(*other)) {
                if !layers.get(layer).is_some_and(|allowed| allowed.contains(other)) {
                    say(number, &format!("`{layer}` may not name `{other}` (src/ARCHITECTURE.md)"));
                }
            }
            if layer != "layout" && compares_versions(line) {
                say(number, "compares versions outside of `layout`");
            }
            if layer != "target" && line.contains("unsafe_code") {
                say(number, "allows `unsafe` outside of `target`");
            }
        }
    }
}

/// The layer that a file of `src/` belongs to; none for `lib.rs`, `main.rs` and other folders.
fn layer_of(name: &str) -> Option<&str> {
    let path = name.strip_prefix("src/")?;
    let layer = path.split('/').next()?.trim_end_matches(".rs");
    (!matches!(layer, "lib" | "main")).then_some(layer)
}

/// Whether the line has `path` outside of a string.
fn code_contains(line: &str, path: &str) -> bool {
    line.split('"').step_by(2).any(|piece| piece.contains(path))
}

fn named_layers(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).filter_map(|rest| {
        rest.split(|letter: char| !(letter.is_ascii_lowercase() || letter == '_'))
            .next()
            .filter(|name| !name.is_empty())
    })
}

/// Whether something named `minor` or `version` is compared with a number or a version.
fn compares_versions(line: &str) -> bool {
    ["minor", "version"].iter().any(|word| {
        line.match_indices(word).any(|(at, _)| {
            let rest = line[at + word.len()..].trim_start_matches(|letter: char| {
                letter.is_ascii_lowercase() || matches!(letter, '_' | '.' | '(' | ')')
            });
            let rest = rest.trim_start();
            let operator =
                [">=", "<=", "==", "<", ">"].iter().find_map(|operator| rest.strip_prefix(operator));
            operator.is_some_and(|value| {
                let value = value.trim_start().trim_start_matches('(');
                value.starts_with(|letter: char| letter.is_ascii_digit()) || value.starts_with("Version")
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_keeps_its_rules() {
        assert_eq!(broken_rules().unwrap(), [""; 0]);
    }

    #[test]
    fn the_table_is_read_with_its_ranges() {
        let table = "| `a` | x | y | - |\n| `b` | x | y | a |\n| `c` | x | y | a .. b |\n| `d` | x | y | everything |";
        let layers = layers(table).unwrap();
        assert_eq!(layers["b"].iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(layers["c"].iter().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(layers["d"].len(), 4);
    }

    #[test]
    fn versions_compared_are_found() {
        for line in
            ["if version.minor >= 12 {", "version() < (3, 11)", "self.version == Version::release(3, 8, 0)"]
        {
            assert!(compares_versions(line), "{line}");
        }
        for line in ["let version = 5;", "schema_version: u32", "Option<Version>", "version.minor.cmp(other)"]
        {
            assert!(!compares_versions(line), "{line}");
        }
    }

    #[test]
    fn a_layer_is_named_by_path() {
        assert_eq!(named_layers("use crate::heap::Heap;").collect::<Vec<_>>(), ["heap"]);
        assert_eq!(
            named_layers("pub(crate) fn x(y: crate::layout::Layouts)").collect::<Vec<_>>(),
            ["layout"]
        );
        assert_eq!(layer_of("src/heap/kind/dict.rs"), Some("heap"));
        assert_eq!(layer_of("src/lib.rs"), None);
    }
}
