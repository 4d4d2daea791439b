//! The real charts, where `BYOCNI_TEST_CHARTS` names a folder of them.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use kubectl_byocni::{core::chart::Chart, yaml};
use serde_json::Value;

use crate::programs::{self, required_or_skip};

/// Every chart of the folder; none where there is no folder, which is said.
pub fn charts() -> Vec<Chart> {
    let Some(folder) = required_or_skip("charts", programs::charts()) else {
        return vec![];
    };
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder")
        .map(|e| e.expect("an entry").path())
        .collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "tgz"));
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

fn read(path: &Path) -> Chart {
    let file = fs::File::open(path).expect("a readable chart");
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").display().to_string();
        if let Some((_, name @ ("Chart.yaml" | "values.yaml" | "values.schema.json"))) = name.split_once('/')
        {
            let name = name.to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("text");
            texts.insert(name, text);
        }
    }
    let document = |name: &str| yaml::documents::<Value>(&texts[name]).expect(name).remove(0);
    let (meta, values) = (document("Chart.yaml"), document("values.yaml"));
    let word = |key: &str| meta[key].as_str().unwrap_or_default().to_string();
    Chart {
        name: word("name"),
        version: word("version"),
        app_version: word("appVersion"),
        kube_version: meta["kubeVersion"].as_str().map(str::to_string),
        digest: String::new(),
        source: String::new(),
        values,
        values_text: texts["values.yaml"].clone(),
        schema: texts
            .get("values.schema.json")
            .map(|t| serde_json::from_str(t).expect("a schema")),
        crds: vec![],
    }
}
