//! A finding: one code that stands, with its evidence. The only currency between the rooms.

use std::fmt;

use super::code::{Code, Severity};

/// What a finding is about: an object of the cluster, or the cluster itself (kind `Cluster`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// The object's kind as Kubernetes writes it: `Node`, `DaemonSet`.
    pub kind: String,
    /// Absent for objects that live in no namespace.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: String,
}

impl Subject {
    /// An object that lives in no namespace.
    pub fn new(kind: &str, name: &str) -> Self {
        Subject {
            kind: kind.into(),
            namespace: None,
            name: name.into(),
        }
    }

    /// An object in a namespace; an empty namespace counts as none.
    pub fn namespaced(kind: &str, namespace: &str, name: &str) -> Self {
        let namespace = (!namespace.is_empty()).then(|| namespace.to_string());
        Subject {
            kind: kind.into(),
            namespace,
            name: name.into(),
        }
    }

    /// The whole cluster.
    pub fn cluster() -> Self {
        Subject::new("Cluster", "cluster")
    }

    /// A node.
    pub fn node(name: &str) -> Self {
        Subject::new("Node", name)
    }
}

impl fmt::Display for Subject {
    /// `kind/name` as `kubectl get -o name` writes it, without the namespace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.to_lowercase(), self.name)
    }
}

/// One code that stands, grouped: one finding a cause, not one a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which code.
    pub code: &'static Code,
    /// The code's severity, or `Info` where the finding is the consequence of another.
    pub severity: Severity,
    /// Every object concerned, in order; never empty.
    pub subjects: Vec<Subject>,
    /// What was seen, with the evidence: names, values, both sides of a mismatch. One line.
    pub message: String,
    /// What to do, a command where there is one. One line.
    pub fix: String,
    /// The slug of the finding whose consequence this is.
    pub caused_by: Option<&'static str>,
}

impl Finding {
    /// A finding of `code` about `subjects` (an empty list means the cluster).
    pub fn new(
        code: &'static Code,
        mut subjects: Vec<Subject>,
        message: String,
        fix: impl Into<String>,
    ) -> Self {
        if subjects.is_empty() {
            subjects.push(Subject::cluster());
        }
        Finding {
            code,
            severity: code.severity,
            subjects,
            message,
            fix: fix.into(),
            caused_by: None,
        }
    }

    /// The same as the consequence of another finding: shown, no longer counted.
    pub fn because_of(mut self, cause: &'static Code) -> Self {
        self.severity = Severity::Info;
        self.caused_by = Some(cause.slug);
        self
    }

    /// Whether one of the subjects is this node.
    pub fn concerns_node(&self, node: &str) -> bool {
        self.subjects.iter().any(|s| s.kind == "Node" && s.name == node)
    }
}
