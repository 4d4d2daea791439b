//! Rows in columns that always fit: columns are dropped and cells cut before comfy-table lays them out, because it
//! would wrap where we want one line a row.

use comfy_table::{ContentArrangement, Table, presets::NOTHING};

use super::{
    Style,
    line::{clip, clip_middle, width},
};

/// Columns between two columns.
const GAP: usize = 2;

/// A column.
pub struct Column {
    /// Its header.
    pub head: &'static str,
    /// The larger, the longer it stays when the width shrinks; the largest stay to the end.
    pub keep: u8,
    /// The width down to which its cells may be cut before another column has to go.
    pub least: usize,
    /// Cells are names: cut in the middle.
    pub name: bool,
}

impl Column {
    /// A column whose cells are cut at their end.
    pub const fn new(head: &'static str, keep: u8, least: usize) -> Self {
        Column {
            head,
            keep,
            least,
            name: false,
        }
    }

    /// A column of names.
    pub const fn names(head: &'static str, keep: u8, least: usize) -> Self {
        Column {
            head,
            keep,
            least,
            name: true,
        }
    }
}

/// A header and rows, one line each, none wider than `room`. Columns without any content are left out.
pub fn lines(columns: &[Column], rows: &[Vec<String>], room: usize, style: &Style) -> Vec<String> {
    let natural: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let widest = rows
                .iter()
                .filter_map(|r| r.get(at))
                .map(|c| width(c))
                .max()
                .unwrap_or(0);
            if widest == 0 {
                0
            } else {
                widest.max(width(column.head))
            }
        })
        .collect();
    let shown = fit(columns, &natural, room);
    let cut = |at: usize, to: usize, text: &str| match columns[at].name {
        true => clip_middle(text, to, style),
        false => clip(text, to, style),
    };
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(shown.iter().map(|&(at, to)| cut(at, to, columns[at].head)));
    for row in rows {
        let cell = |&(at, to): &(usize, usize)| cut(at, to, row.get(at).map_or("", String::as_str));
        table.add_row(shown.iter().map(cell));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP as u16));
    }
    table.lines().map(|line| line.trim_end().to_string()).collect()
}

/// Which columns are shown, and how wide.
fn fit(columns: &[Column], natural: &[usize], room: usize) -> Vec<(usize, usize)> {
    let mut shown: Vec<(usize, usize)> = natural
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, to)| *to > 0)
        .collect();
    let least = |&(at, to): &(usize, usize)| to.min(columns[at].least);
    let gaps = |shown: &[(usize, usize)]| GAP * shown.len().saturating_sub(1);
    while shown.len() > 1 && shown.iter().map(least).sum::<usize>() + gaps(&shown) > room {
        // The later of equals goes first.
        let Some(weakest) = (0..shown.len()).rev().min_by_key(|&i| columns[shown[i].0].keep) else {
            break;
        };
        shown.remove(weakest);
    }
    // What is still too wide is taken from the column that can spare most.
    let mut excess = (shown.iter().map(|(_, to)| to).sum::<usize>() + gaps(&shown)).saturating_sub(room);
    while excess > 0 {
        let spare = |c: &(usize, usize)| c.1 - least(c);
        let Some(widest) = (0..shown.len()).max_by_key(|&i| (spare(&shown[i]), shown[i].1)) else {
            break;
        };
        let column = &mut shown[widest];
        // Past every least width only the last column is left to give.
        let give = if spare(column) > 0 {
            1
        } else {
            excess.min(column.1)
        };
        column.1 -= give;
        if give == 0 {
            break;
        }
        excess -= give;
    }
    shown
}
