//! What a change makes different, for a pull request: every setting, image, restart and object.

use std::fmt::{Result, Write};

use super::diff::{by_object, cells, image, kinds, objects_by_fate, restart, sentences};
use crate::core::{code::Change, plan::diff::Diff};

/// Writes the sections; `e` makes text harmless.
pub fn write(diff: &Diff, change: Change, e: &dyn Fn(&str) -> String, out: &mut String) -> Result {
    for (object, settings) in by_object(diff) {
        writeln!(
            out,
            "\n**{}**\n\n| Setting | Before | After | Why |\n|---|---|---|---|",
            e(&object.to_string())
        )?;
        for setting in settings {
            row(&cells(setting), e, out)?;
        }
    }
    if !diff.images.is_empty() {
        writeln!(
            out,
            "\n| Image | Before | After | In | Why |\n|---|---|---|---|---|"
        )?;
    }
    for one in &diff.images {
        row(&image(one), e, out)?;
    }
    if !diff.restarts.is_empty() {
        writeln!(
            out,
            "\n| | Restarts in this order | Pods | Why |\n|---|---|---|---|"
        )?;
    }
    for one in &diff.restarts {
        row(&restart(diff, one), e, out)?;
    }
    let fates = objects_by_fate(diff);
    if fates.iter().any(|(_, all)| !all.is_empty()) {
        writeln!(out)?;
    }
    for (fate, all) in fates.into_iter().filter(|(_, all)| !all.is_empty()) {
        writeln!(out, "- {fate}: {}", e(&kinds(all)))?;
    }
    let sentences = sentences(diff, change);
    if !sentences.is_empty() {
        writeln!(out)?;
    }
    for (_, sentence) in sentences {
        writeln!(out, "- {}", e(&sentence))?;
    }
    Ok(())
}

fn row(cells: &[String], e: &dyn Fn(&str) -> String, out: &mut String) -> Result {
    let cells: Vec<String> = cells.iter().map(|cell| e(cell)).collect();
    writeln!(out, "| {} |", cells.join(" | "))
}
