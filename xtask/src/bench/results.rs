//! Figures of one run, kept in a file so that the page can be written anew from them.

use super::subject::Scene;
use anyhow::Result;
use serde_json::Value;
use serde_json::json;
use std::fs;
use std::path::Path;

/// What one tool needed in one scene. Times are milliseconds, memory is bytes; what is not known is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures {
    /// Objects in the program, counted by heapattach.
    pub(super) objects: Option<f64>,
    pub(super) wall_ms: Option<f64>,
    pub(super) cpu_ms: Option<f64>,
    /// Longest gap in a thread that knows nothing of Python.
    pub(super) native_ms: Option<f64>,
    /// Longest gap in a thread of Python.
    pub(super) python_ms: Option<f64>,
    /// All of the first thread's gaps.
    pub(super) stood_ms: Option<f64>,
    /// The pause that the tool itself reports.
    pub(super) pause_ms: Option<f64>,
    /// From the end of the stop to the end of the tool.
    pub(super) after_ms: Option<f64>,
    pub(super) copied: Option<f64>,
    /// Most memory of the tool, if it is a process of its own.
    pub(super) peak: Option<f64>,
    /// By how much the program's memory grew.
    pub(super) target_growth: Option<f64>,
}

/// A figure by its name in the file.
type Field = (&'static str, fn(&mut Figures) -> &mut Option<f64>);

const FIELDS: [Field; 11] = [
    ("objects", |figures| &mut figures.objects),
    ("wall_ms", |figures| &mut figures.wall_ms),
    ("cpu_ms", |figures| &mut figures.cpu_ms),
    ("native_ms", |figures| &mut figures.native_ms),
    ("python_ms", |figures| &mut figures.python_ms),
    ("stood_ms", |figures| &mut figures.stood_ms),
    ("pause_ms", |figures| &mut figures.pause_ms),
    ("after_ms", |figures| &mut figures.after_ms),
    ("copied", |figures| &mut figures.copied),
    ("peak", |figures| &mut figures.peak),
    ("target_growth", |figures| &mut figures.target_growth),
];

impl Figures {
    /// The median of each figure.
    pub(super) fn median(mut runs: Vec<Self>) -> Self {
        let mut median = Self::default();
        for (_, field) in FIELDS {
            let mut values: Vec<f64> = runs.iter_mut().filter_map(|run| *field(run)).collect();
            values.sort_by(f64::total_cmp);
            *field(&mut median) = values.get(values.len() / 2).copied();
        }
        median
    }

    /// Bytes of the tool's memory for each object, without the copy of the program's.
    pub(super) fn bytes_per_object(&self) -> Option<f64> {
        Some((self.peak? - self.copied?) / self.objects?)
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Measured(Box<Figures>),
    /// Why there are no figures.
    LeftOut(String),
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) scene: Scene,
    pub(super) tool: String,
    pub(super) outcome: Outcome,
}

impl Row {
    /// The figures, if there are any.
    pub(super) fn figures(&self) -> Option<&Figures> {
        match &self.outcome {
            Outcome::Measured(figures) => Some(figures),
            Outcome::LeftOut(_) => None,
        }
    }
}

/// Everything that was measured, and where.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Results {
    /// Facts about machine and run, a line each.
    pub(super) conditions: Vec<String>,
    pub(super) rows: Vec<Row>,
}

impl Results {
    /// Puts a row in, in the place of an earlier one of the same tool and scene.
    pub(super) fn put(&mut self, row: Row) {
        self.rows.retain(|known| known.tool != row.tool || known.scene != row.scene);
        self.rows.push(row);
        self.rows.sort_by_key(|row| row.scene);
    }

    /// The figures of a tool in a scene.
    pub(super) fn find(&self, tool: &str, scene: Scene) -> Option<&Figures> {
        self.rows.iter().find(|row| row.tool == tool && row.scene == scene).and_then(Row::figures)
    }

    /// Every scene, the smallest first.
    pub(super) fn scenes(&self) -> Vec<Scene> {
        let mut scenes: Vec<Scene> = self.rows.iter().map(|row| row.scene).collect();
        scenes.dedup();
        scenes
    }

    /// Writes all into a file.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let rows: Vec<Value> = self.rows.iter().map(row_to_json).collect();
        let text = serde_json::to_string_pretty(&json!({ "conditions": self.conditions, "rows": rows }))?;
        Ok(fs::write(path, text)?)
    }

    /// Reads a file that [`Self::save`] wrote; rows that it does not understand are an error.
    pub(super) fn load(path: &Path) -> Result<Self> {
        let value: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
        let conditions = serde_json::from_value(value["conditions"].clone())?;
        let rows = value["rows"].as_array().into_iter().flatten().map(row_from_json).collect::<Option<_>>();
        match rows {
            Some(rows) => Ok(Self { conditions, rows }),
            None => anyhow::bail!("{} is not a file of results", path.display()),
        }
    }
}

fn row_to_json(row: &Row) -> Value {
    let Scene { objects, aged, mutating, threads } = row.scene;
    let mut value = json!({
        "scene": { "objects": objects, "aged": aged, "mutating": mutating, "threads": threads },
        "tool": row.tool,
    });
    match &row.outcome {
        Outcome::LeftOut(reason) => value["left_out"] = json!(reason),
        Outcome::Measured(figures) => {
            let mut figures = figures.clone();
            for (name, field) in FIELDS {
                value[name] = json!(field(&mut figures));
            }
        }
    }
    value
}

fn row_from_json(value: &Value) -> Option<Row> {
    let scene = &value["scene"];
    let scene = Scene {
        objects: scene["objects"].as_u64()?,
        aged: scene["aged"].as_bool()?,
        mutating: scene["mutating"].as_bool()?,
        threads: u32::try_from(scene["threads"].as_u64()?).ok()?,
    };
    let outcome = if let Some(reason) = value["left_out"].as_str() {
        Outcome::LeftOut(reason.to_owned())
    } else {
        let mut figures = Figures::default();
        for (name, field) in FIELDS {
            *field(&mut figures) = value[name].as_f64();
        }
        Outcome::Measured(Box::new(figures))
    };
    Some(Row { scene, tool: value["tool"].as_str()?.to_owned(), outcome })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded() {
        let figures = Figures { wall_ms: Some(1.5), ..Figures::default() };
        let scene = Scene { objects: 5, aged: true, mutating: false, threads: 16 };
        let mut results = Results { conditions: vec!["two cores".to_owned()], rows: Vec::new() };
        results.put(Row { scene, tool: "a".to_owned(), outcome: Outcome::LeftOut("absent".to_owned()) });
        results.put(Row { scene, tool: "b".to_owned(), outcome: Outcome::LeftOut("absent".to_owned()) });
        results.put(Row { scene, tool: "b".to_owned(), outcome: Outcome::Measured(Box::new(figures)) });
        assert_eq!(results.rows.len(), 2);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        results.save(&path).unwrap();
        assert_eq!(Results::load(&path).unwrap(), results);
        fs::write(&path, r#"{"conditions": [], "rows": [{"tool": "a"}]}"#).unwrap();
        assert!(Results::load(&path).is_err());
    }

    #[test]
    fn each_figure_has_its_own_median() {
        let run = |wall, cpu| Figures { wall_ms: Some(wall), cpu_ms: cpu, ..Figures::default() };
        let median = Figures::median(vec![run(3.0, Some(7.0)), run(1.0, None), run(2.0, Some(5.0))]);
        assert_eq!((median.wall_ms, median.cpu_ms, median.peak), (Some(2.0), Some(7.0), None));
    }
}
