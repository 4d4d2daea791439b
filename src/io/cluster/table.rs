//! Every pod's node and address, from the API server's table of pods: 250 bytes a pod instead of 10,000.
//!
//! The table's columns are no part of the API's promises, so they are found by name, and where one is missing the
//! pods are read in full (<https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>).

use std::{borrow::Cow, fmt, net::IpAddr};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::list;
use crate::{
    core::{
        capture::{NodeNames, Pod, PodRow, PodState},
        text::Text,
    },
    io::connection::{Connection, RequestError},
};

/// Asks for a table, and takes a list where the server has no tables.
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// Pods that have finished hold no address: the server leaves them out. Answered from the server's watch cache
/// (`resourceVersion=0`), in one piece: cut into pages the server goes through all pods again for each of them, which
/// made reading 150,000 pods three times as slow for a third of the answer's 26 MB less memory
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list>). The cache may be behind by
/// moments; what looks wrong in it is looked at a second time.
const UNFINISHED: &str = "/api/v1/pods?includeObject=None&resourceVersion=0\
    &fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed";

/// The rows of all pods that have not finished.
///
/// # Errors
/// Where they cannot be read.
pub async fn pod_rows(connection: &Connection) -> Result<Vec<PodRow>, RequestError> {
    let body = connection.get(UNFINISHED, TABLE).await?;
    let parsing = tokio::task::spawn_blocking(move || {
        let (mut names, mut rows) = (NodeNames::default(), vec![]);
        read_page(&body, &mut names, &mut rows).map(|read| read.then_some(rows))
    });
    let parsed = parsing
        .await
        .map_err(|e| RequestError::NotTheApi { why: e.to_string() })?;
    match parsed? {
        Some(rows) => Ok(rows),
        None => in_full(connection).await,
    }
}

/// The slow way: whole pods, still slim, still paged.
async fn in_full(connection: &Connection) -> Result<Vec<PodRow>, RequestError> {
    let path = "/api/v1/pods?fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed";
    let pods: Vec<Pod> = list::all(connection, path, list::PODS_A_PAGE, list::JSON, Pod::trimmed).await?;
    let mut names = NodeNames::default();
    Ok(pods
        .iter()
        .filter_map(|pod| PodRow::of(pod, &mut names))
        .collect())
}

/// Reads a table into rows. False where it is no table, or lacks a column.
fn read_page(body: &Bytes, names: &mut NodeNames, rows: &mut Vec<PodRow>) -> Result<bool, RequestError> {
    each_row(
        body,
        ["name", "status", "ip", "node"],
        |[name, status, ip, node]| {
            rows.push(row_of(&name, &status, &ip, &node, names));
        },
    )
}

/// Hands over the cells of these columns, row by row, without holding the table. False where the body is no table or
/// lacks one of them: nothing was handed over then.
pub fn each_row<const N: usize>(
    body: &[u8],
    wanted: [&str; N],
    mut take: impl FnMut([Cow<'_, str>; N]),
) -> Result<bool, RequestError> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    Table {
        wanted,
        take: &mut take,
    }
    .deserialize(&mut reader)
    .map_err(|e| RequestError::NotTheApi { why: e.to_string() })
}

fn row_of(name: &str, status: &str, ip: &str, node: &str, names: &mut NodeNames) -> PodRow {
    // kubectl's printer writes `<none>` for what is not there.
    let there = |text: &str| !text.is_empty() && text != "<none>";
    let ip = ip.parse::<IpAddr>().ok();
    let state = if status == "Terminating" {
        PodState::Terminating
    } else if !there(node) {
        PodState::Unscheduled
    } else if ip.is_none() {
        PodState::Starting
    } else {
        PodState::Running
    };
    PodRow {
        name: Text::new(name).as_str().into(),
        namespace: "".into(),
        node: names.shared(&Text::new(if there(node) { node } else { "" })),
        ip,
        second_ip: None,
        state,
        created: None,
        uid: "".into(),
    }
}

/// A Table as it goes by: its columns come before its rows, as in Kubernetes' own type.
struct Table<'t, T, const N: usize> {
    wanted: [&'t str; N],
    take: &'t mut T,
}

impl<'de, T: FnMut([Cow<'_, str>; N]), const N: usize> DeserializeSeed<'de> for Table<'_, T, N> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: FnMut([Cow<'_, str>; N]), const N: usize> Visitor<'de> for Table<'_, T, N> {
    type Value = bool;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut places: Option<[usize; N]> = None;
        let mut rows = false;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match (&*key, places) {
                ("columnDefinitions", _) => {
                    let columns: Vec<Column<'de>> = map.next_value()?;
                    let mut found = [0; N];
                    let all = found.iter_mut().zip(self.wanted).all(|(slot, name)| {
                        let place = columns.iter().position(|c| c.name.eq_ignore_ascii_case(name));
                        place.map(|index| *slot = index).is_some()
                    });
                    places = all.then_some(found);
                }
                ("rows", Some(places)) => {
                    rows = true;
                    map.next_value_seed(Rows {
                        places,
                        take: &mut *self.take,
                    })?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        // A table of nothing has no rows at all, or null.
        Ok(rows || places.is_some())
    }
}

#[derive(Deserialize)]
struct Column<'b> {
    #[serde(borrow)]
    name: Cow<'b, str>,
}

/// All rows, or one of them.
struct Rows<'t, T, const N: usize> {
    places: [usize; N],
    take: &'t mut T,
}

impl<'de, T: FnMut([Cow<'_, str>; N]), const N: usize> DeserializeSeed<'de> for Rows<'_, T, N> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: FnMut([Cow<'_, str>; N]), const N: usize> Visitor<'de> for Rows<'_, T, N> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("table rows")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut cells: Vec<Cell<'de>> = vec![];
        while seq.next_element_seed(Row { cells: &mut cells })?.is_some() {
            let mut cell = |index: usize| {
                cells
                    .get_mut(index)
                    .map(|c| std::mem::take(&mut c.0))
                    .unwrap_or_default()
            };
            (self.take)(self.places.map(&mut cell));
        }
        Ok(())
    }
}

/// A row's cells, into a list that is used again for the next; its object and conditions are passed over.
struct Row<'c, 'de> {
    cells: &'c mut Vec<Cell<'de>>,
}

impl<'de> DeserializeSeed<'de> for Row<'_, 'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_, 'de> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table row")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.cells.clear();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == "cells" {
                map.next_value_seed(Cells(self.cells))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Cells<'c, 'de>(&'c mut Vec<Cell<'de>>);

impl<'de> DeserializeSeed<'de> for Cells<'_, 'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Cells<'_, 'de> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("table cells")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(cell) = seq.next_element()? {
            self.0.push(cell);
        }
        Ok(())
    }
}

/// A cell's text; what is neither text nor a whole number is empty, for none of ours is such.
#[derive(Default)]
struct Cell<'b>(Cow<'b, str>);

impl<'de: 'b, 'b> Deserialize<'de> for Cell<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Door;
        impl<'de> Visitor<'de> for Door {
            type Value = Cell<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table cell")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cell<'de>, E> {
                Ok(Cell(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Cell<'de>, E> {
                Ok(Cell(Cow::Owned(text.to_string())))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Cell<'de>, E> {
                Ok(Cell(Cow::Owned(number.to_string())))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Cell<'de>, E> {
                Ok(Cell(Cow::Owned(number.to_string())))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Cell<'de>, E> {
                Ok(Cell::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<Cell<'de>, E> {
                Ok(Cell::default())
            }
            fn visit_unit<E>(self) -> Result<Cell<'de>, E> {
                Ok(Cell::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Cell<'de>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Cell::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Cell::default())
            }
        }
        deserializer.deserialize_any(Door)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<PodRow>> {
        let mut rows = vec![];
        let body = Bytes::copy_from_slice(text.as_bytes());
        read_page(&body, &mut NodeNames::default(), &mut rows)
            .expect("JSON")
            .then_some(rows)
    }

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        let rows = read(
            r#"{"kind":"Table","columnDefinitions":[{"name":"Node"},{"name":"Restarts"},{"name":"IP"},{"name":"Status"},
            {"name":"Name"}],"rows":[{"cells":["n1",3,"10.1.0.5","Running","a"]},{"cells":["n1",0,"<none>",
            "ContainerCreating","b"],"object":null},{"cells":["<none>",0,"<none>","Pending","c"]},
            {"cells":["n1",0,"10.1.0.6","Terminating","d\u001b"]}]}"#,
        )
        .expect("a table");
        let states: Vec<_> = rows.iter().map(|r| (&*r.name, &*r.node, r.state)).collect();
        assert_eq!(
            states,
            [
                ("a", "n1", PodState::Running),
                ("b", "n1", PodState::Starting),
                ("c", "", PodState::Unscheduled),
                ("d\u{fffd}", "n1", PodState::Terminating)
            ]
        );
    }

    #[test]
    fn a_list_or_a_table_without_our_columns_is_not_taken() {
        assert!(read(r#"{"kind":"PodList","items":[]}"#).is_none());
        assert!(read(r#"{"columnDefinitions":[{"name":"Name"}],"rows":[]}"#).is_none());
    }
}
