//! What stands of the objects that a chart renders, for `--take-ownership`: read one by one. What a Secret holds is not
//! asked for.

use serde_json::Value;

use super::{planning::Planner, replacing::pods_of};
use crate::{
    core::{
        facts::Facts,
        manifest::Object,
        plan::{Draft, Surroundings, adopting, diff::Diff, rights},
    },
    io::{
        cluster::{list, together},
        connection::{Connection, RequestError},
    },
};

/// Reads at once.
const AT_ONCE: usize = 10;

/// The objects that are there of those that `rendered` holds, as far as it speaks of them; `namespace` is the release's.
///
/// # Errors
/// What could not be read, in one line.
async fn standing(
    connection: &Connection,
    rendered: &[Object],
    namespace: &str,
) -> Result<Vec<Object>, String> {
    let defined = rights::defined(rendered.iter());
    let mut all = vec![];
    for some in adopting::comparable(rendered).chunks(AT_ONCE) {
        let answers = together(some.iter().map(|object| {
            let place = rights::place(object, &defined, namespace);
            let path = format!(
                "{}/{}",
                place.path(&object.api_version),
                rights::part(&object.name)
            );
            async move { connection.get(&path, list::JSON).await }
        }));
        for (object, answer) in some.iter().zip(answers.await) {
            let body = match answer {
                // Also where the API server does not know its kind yet.
                Err(RequestError::NotFound) => continue,
                Err(error) => return Err(format!("{}: {error}", object.subject())),
                Ok(body) => body,
            };
            let stands: Value =
                serde_json::from_slice(&body).map_err(|e| format!("{}: {e}", object.subject()))?;
            all.push(adopting::standing(object, &stands));
        }
    }
    Ok(all)
}

impl Planner<'_> {
    /// What becomes different of the objects that `--take-ownership` takes over; nothing where there are none.
    pub(super) async fn adopted(
        &self,
        facts: &Facts<'_>,
        draft: &Draft,
        rendered: Option<&[Object]>,
        surroundings: &mut Surroundings,
    ) -> Option<Diff> {
        let (Some(live), Some(rendered), None) = (self.live, rendered, &surroundings.installed) else {
            return None;
        };
        if !self.request.take_ownership || self.replacing.is_some() {
            return None;
        }
        let stands = match standing(live.connection, rendered, &draft.namespace).await {
            Ok(stands) if stands.is_empty() => return None,
            Ok(stands) => stands,
            Err(why) => {
                let what = format!("the objects that would be taken over ({why})");
                surroundings.unread.push(what);
                return None;
            }
        };
        if let Some(cni) = self.request.cni {
            let found = adopting::findings(&stands, rendered, cni);
            surroundings.findings.extend(found);
        }
        let mut diff = adopting::compare(&stands, rendered, &draft.namespace, self.request.cni);
        diff.count_pods(&|subject| pods_of(facts, subject));
        Some(diff)
    }
}
