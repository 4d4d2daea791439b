//! The pure room: captures become facts, facts become findings, findings become a report.
//! No async, clock, environment, files, processes or printing here.
pub mod code;
pub mod codes;
