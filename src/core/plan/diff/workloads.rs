//! Images and restarts: what the pods of a workload notice.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Diff, Image, Inert, Part, Restart, Sides, Why,
    objects::{self, Key},
};
use crate::core::{
    capture::Workload,
    cni::{Cni, Role},
    manifest::Object,
    text::Text,
};

/// A workload that is there before and after.
struct Lasting<'a> {
    key: &'a Key,
    was: &'a Object,
    is: &'a Object,
    part: Part,
    restarts: bool,
    /// Names of ConfigMaps that its pods read when they start.
    reads: BTreeSet<&'a str>,
}

/// Fills in images, restarts and what nobody would read.
pub fn fill(diff: &mut Diff, sides: &Sides<'_>, cni: Option<&'static Cni>) {
    let new = sides.target();
    let mut lasting: Vec<Lasting<'_>> = new
        .keys()
        .filter(|key| is_workload(key))
        .filter_map(|key| {
            let (was, is) = (sides.old.get(key)?, new.get(key)?);
            let part = part(is, cni);
            Some(Lasting {
                key,
                was,
                is,
                part,
                restarts: objects::template(was) != objects::template(is),
                reads: reads(is, part, cni),
            })
        })
        .collect();
    lasting.sort_by_key(|one| (one.part, one.key));
    let configured: Vec<(Option<String>, String)> = diff
        .settings
        .iter()
        .filter(|s| s.object.kind == "ConfigMap")
        .map(|s| (s.object.namespace.clone(), s.object.name.clone()))
        .collect();
    for one in &lasting {
        diff.images.extend(images(one, sides));
        if one.restarts {
            let reads = |(namespace, name): &(Option<String>, String)| {
                *namespace == one.key.namespace && one.reads.contains(name.as_str())
            };
            diff.restarts.push(Restart {
                workload: one.key.subject(),
                part: one.part,
                why: why(one, configured.iter().any(reads)),
                pods: replicas(one.is),
            });
        }
    }
    diff.images
        .sort_by(|a, b| (&a.workload, &a.containers).cmp(&(&b.workload, &b.containers)));
    diff.inert = inert(diff, &lasting);
    let agents = new
        .keys()
        .filter(|key| is_workload(key))
        .any(|key| new.get(key).is_some_and(|o| part(o, cni) == Part::Agent));
    diff.by_operator = !agents
        && cni.is_some_and(|cni| !cni.made_in.is_empty())
        && diff.restarts.iter().any(|r| r.part == Part::Operator);
}

fn is_workload(key: &Key) -> bool {
    key.group == "apps" && matches!(key.kind.as_str(), "DaemonSet" | "Deployment" | "StatefulSet")
}

fn part(object: &Object, cni: Option<&'static Cni>) -> Part {
    let Some(cni) = cni else {
        // Of a chart that nobody here knows: its DaemonSets are what runs on nodes.
        return match object.kind.as_str() {
            "DaemonSet" => Part::Agent,
            _ => Part::Other,
        };
    };
    let evident = || {
        let workload: Option<Workload> = serde_json::from_value(object.value.clone()).ok();
        workload.is_some_and(|w| cni.evidence(&w).is_some())
    };
    let named = |names: &[&str]| names.contains(&object.name.as_str());
    match object.kind.as_str() {
        "DaemonSet" if cni.role != Role::Companion && evident() => Part::Agent,
        "DaemonSet" if named(cni.companions) => Part::Beside,
        "Deployment" if named(cni.operators) => Part::Operator,
        _ => Part::Other,
    }
}

/// The containers of a pod template with their images, start-up containers first.
fn containers(object: &Object) -> Vec<(&str, &str)> {
    let lists = ["initContainers", "containers"].into_iter();
    let all = lists.filter_map(|list| {
        object
            .value
            .pointer(&format!("/spec/template/spec/{list}"))?
            .as_array()
    });
    all.flatten()
        .filter_map(|c| Some((c.get("name")?.as_str()?, c.get("image")?.as_str()?)))
        .collect()
}

fn image<'o>(object: &'o Object, container: &str) -> Option<&'o str> {
    let found = containers(object)
        .into_iter()
        .find(|(name, _)| *name == container);
    found.map(|(_, image)| image)
}

/// The images that are different, each once with its containers.
fn images(one: &Lasting<'_>, sides: &Sides<'_>) -> Vec<Image> {
    let mut images: Vec<Image> = vec![];
    let (old, new) = (containers(one.was), containers(one.is));
    let mut names: Vec<&str> = new.iter().map(|(name, _)| *name).collect();
    names.extend(
        old.iter()
            .map(|(name, _)| *name)
            .filter(|n| image(one.is, n).is_none()),
    );
    let shown = |image: &str| Text::new(image).line(400);
    for name in names {
        let (was, is) = (image(one.was, name), image(one.is, name));
        if was == is {
            continue;
        }
        let because = sides.because(one.key, |object| image(object, name).map(str::to_string));
        let (before, after) = (was.map(shown), is.map(shown));
        let name = Text::new(name).line(80);
        let same = |i: &&mut Image| i.before == before && i.after == after && i.because == because;
        match images.iter_mut().find(same) {
            Some(known) => known.containers.push(name),
            None => images.push(Image {
                workload: one.key.subject(),
                containers: vec![name],
                before,
                after,
                because,
            }),
        }
    }
    images
}

/// Why the pods of a template that is another restart; `configured` where something that they read changes too.
fn why(one: &Lasting<'_>, configured: bool) -> Vec<Why> {
    let mut why = vec![];
    let rest = |object: &Object| {
        let mut template = objects::template(object);
        let mut sums: Vec<String> = vec![];
        for list in ["initContainers", "containers"] {
            let list = template
                .pointer_mut(&format!("/spec/{list}"))
                .and_then(Value::as_array_mut);
            for container in list.into_iter().flatten().filter_map(Value::as_object_mut) {
                container.remove("image");
            }
        }
        if let Some(meta) = template.get_mut("metadata") {
            if let Some(map) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
                map.retain(|key, value| {
                    let sum = key.contains("checksum");
                    if sum {
                        sums.push(value.to_string());
                    }
                    !sum
                });
            }
            objects::unlabelled(meta);
        }
        (template, sums)
    };
    let (was, is) = (rest(one.was), rest(one.is));
    if containers(one.was)
        .iter()
        .any(|(name, old)| image(one.is, name).is_some_and(|new| new != *old))
    {
        why.push(Why::Image);
    }
    if configured || was.1 != is.1 {
        why.push(Why::Configuration);
    }
    if was.0 != is.0 || why.is_empty() {
        why.push(Why::Template);
    }
    why
}

/// As rendered; how many pods a DaemonSet has only the cluster knows.
fn replicas(object: &Object) -> Option<usize> {
    match object.kind.as_str() {
        "DaemonSet" => None,
        _ => {
            let replicas = object.value.pointer("/spec/replicas").and_then(Value::as_u64);
            usize::try_from(replicas.unwrap_or(1)).ok()
        }
    }
}

/// The ConfigMaps that pods of a workload read at their start. Agents and operators of some CNIs read theirs through
/// the API, where no volume tells of it; what is read anew while they run is left out.
fn reads<'a>(object: &'a Object, part: Part, cni: Option<&'static Cni>) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    if let Some(template) = object.value.pointer("/spec/template/spec") {
        named(template, &mut names);
    }
    if let Some(cni) = cni {
        if matches!(part, Part::Agent | Part::Operator) {
            names.extend(cni.config_map);
        }
        names.retain(|name| !cni.rereads.contains(name));
    }
    names
}

/// Every ConfigMap that a pod names: in volumes, in whole environments, in single variables.
fn named<'a>(value: &'a Value, into: &mut BTreeSet<&'a str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| named(item, into)),
        Value::Object(map) => {
            for (key, value) in map {
                if matches!(key.as_str(), "configMap" | "configMapRef" | "configMapKeyRef") {
                    into.extend(value.get("name").and_then(Value::as_str));
                }
                named(value, into);
            }
        }
        _ => {}
    }
}

/// ConfigMaps with readers that keep running.
fn inert(diff: &Diff, lasting: &[Lasting<'_>]) -> Vec<Inert> {
    let mut all: Vec<Inert> = vec![];
    for setting in diff.settings.iter().filter(|s| s.object.kind == "ConfigMap") {
        if all.iter().any(|known| known.config_map == setting.object) {
            continue;
        }
        let unmoved = lasting.iter().filter(|one| {
            !one.restarts
                && one.key.namespace == setting.object.namespace
                && one.reads.contains(setting.object.name.as_str())
        });
        let readers: Vec<_> = unmoved.map(|one| one.key.subject()).collect();
        if !readers.is_empty() {
            all.push(Inert {
                config_map: setting.object.clone(),
                readers,
            });
        }
    }
    all
}
