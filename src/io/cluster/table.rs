//! Every pod's node and address, from the API server's table of pods: 250 bytes a pod instead of 10,000.
//!
//! The table's columns are no part of the API's promises, so they are found by name, and where one is missing the
//! pods are read in full (<https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>).

use std::{borrow::Cow, fmt, net::IpAddr};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
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

/// Pods that have finished hold no address: the server leaves them out.
const UNFINISHED: &str =
    "/api/v1/pods?includeObject=None&fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed";

/// A page is 2.5 MB.
const ROWS_A_PAGE: usize = 10_000;

/// The rows of all pods that have not finished.
pub async fn pod_rows(connection: &Connection) -> Result<Vec<PodRow>, RequestError> {
    let mut beginnings = 0;
    loop {
        beginnings += 1;
        match from_the_start(connection).await {
            Err(RequestError::Gone { .. }) if beginnings < 3 => {}
            Ok(Some(rows)) => return Ok(rows),
            Ok(None) => return in_full(connection).await,
            Err(error) => return Err(error),
        }
    }
}

/// All pages; nothing where the server's answer is no table with our columns.
async fn from_the_start(connection: &Connection) -> Result<Option<Vec<PodRow>>, RequestError> {
    let mut names = NodeNames::default();
    let mut rows = vec![];
    let mut body = connection
        .get(&list::page_path(UNFINISHED, ROWS_A_PAGE, ""), TABLE)
        .await?;
    loop {
        let token = list::next_token(&body);
        let parsing = tokio::task::spawn_blocking(move || {
            let mut page = vec![];
            let read = read_page(&body, &mut names, &mut page);
            (read, page, names)
        });
        let following = async {
            if token.is_empty() {
                return Ok(None);
            }
            connection
                .get(&list::page_path(UNFINISHED, ROWS_A_PAGE, &token), TABLE)
                .await
                .map(Some)
        };
        let (parsed, following) = tokio::join!(parsing, following);
        let (read, page, kept) = parsed.map_err(|e| RequestError::NotTheApi { why: e.to_string() })?;
        if !read? {
            return Ok(None);
        }
        names = kept;
        rows.extend(page);
        match following? {
            Some(next) => body = next,
            None => return Ok(Some(rows)),
        }
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

/// Reads one page into rows. False where it is no table, or lacks a column.
fn read_page(body: &Bytes, names: &mut NodeNames, rows: &mut Vec<PodRow>) -> Result<bool, RequestError> {
    let Some(cells) = columns(body, ["name", "status", "ip", "node"])? else {
        return Ok(false);
    };
    rows.extend(
        cells
            .iter()
            .map(|[name, status, ip, node]| row_of(name, status, ip, node, names)),
    );
    Ok(true)
}

/// The cells of these columns, row by row; nothing where the body is no table or lacks one of them.
pub fn columns<'b, const N: usize>(
    body: &'b [u8],
    wanted: [&str; N],
) -> Result<Option<Vec<[Cow<'b, str>; N]>>, RequestError> {
    let table: Table<'b> =
        serde_json::from_slice(body).map_err(|e| RequestError::NotTheApi { why: e.to_string() })?;
    let place = |name: &str| {
        table
            .columns
            .iter()
            .position(|c| c.name.eq_ignore_ascii_case(name))
    };
    let mut places = [0; N];
    for (slot, name) in places.iter_mut().zip(wanted) {
        match place(name) {
            Some(index) => *slot = index,
            None => return Ok(None),
        }
    }
    let cells = |mut row: Row<'b>| {
        places.map(|index| {
            row.0
                .get_mut(index)
                .map(|cell| std::mem::take(&mut cell.0))
                .unwrap_or_default()
        })
    };
    Ok(Some(table.rows.into_iter().map(cells).collect()))
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

/// A Table, borrowed from the body.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table<'b> {
    #[serde(borrow, default, rename = "columnDefinitions")]
    columns: Vec<Column<'b>>,
    #[serde(borrow, default)]
    rows: Vec<Row<'b>>,
}

#[derive(Deserialize)]
struct Column<'b> {
    #[serde(borrow)]
    name: Cow<'b, str>,
}

/// A row's cells; its object and conditions are passed over.
struct Row<'b>(Vec<Cell<'b>>);

impl<'de: 'b, 'b> Deserialize<'de> for Row<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Door;
        impl<'de> Visitor<'de> for Door {
            type Value = Row<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table row")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row<'de>, A::Error> {
                let mut cells = vec![];
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    if key == "cells" {
                        cells = map.next_value()?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Row(cells))
            }
        }
        deserializer.deserialize_map(Door)
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
