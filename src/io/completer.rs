//! Puts `kubectl_complete-byocni` on the `PATH`: kubectl runs an executable of that name to complete a plugin's command
//! line (<https://github.com/kubernetes/kubernetes/pull/105867>). krew links only the plugin itself.
#![expect(clippy::disallowed_methods, reason = "the door to the folders of the PATH")]

use std::{
    env, fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

/// The executable's name, without the extension that Windows wants.
const NAME: &str = "kubectl_complete-byocni";

/// What our executable's name begins with, and a script's line that runs it.
const PLUGIN: &str = "kubectl-byocni";

/// Where it is.
#[derive(Debug)]
pub struct Placed {
    /// The executable that kubectl runs.
    pub path: PathBuf,
    /// The plugin that it leads to.
    pub plugin: PathBuf,
    /// Whether it was there before.
    pub before: bool,
    /// Whether kubectl finds it: its folder is on the `PATH`.
    pub on_path: bool,
}

/// Why it is not there.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// We do not know where we are.
    #[error("{called} was not found on the PATH")]
    Lost {
        /// The name that we were called by.
        called: String,
    },
    /// Another file has the name.
    #[error("{path} is there already, and none of ours")]
    Taken {
        /// The file.
        path: String,
    },
    /// The folder that was asked for cannot be written.
    #[error("{path} cannot be written: {error}")]
    Unwritable {
        /// The file.
        path: String,
        /// The system's reason.
        error: io::Error,
    },
    /// No folder can be written.
    #[error("no folder of the PATH can be written")]
    Nowhere {
        /// The plugin.
        plugin: String,
    },
}

impl PlaceError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            PlaceError::Lost { .. } => "call it through kubectl: kubectl byocni completion install".into(),
            PlaceError::Taken { path } => {
                format!(
                    "look at it, and remove it or choose another folder of the PATH: --dir FOLDER ({path})"
                )
            }
            PlaceError::Unwritable { .. } | PlaceError::Nowhere { .. } => format!(
                "kubectl byocni completion install --dir FOLDER, with a folder of the PATH that you may write; or \
                 link {NAME} to the plugin as whoever may{}",
                match self {
                    PlaceError::Nowhere { plugin } => format!(" ({plugin})"),
                    _ => String::new(),
                }
            ),
        }
    }
}

/// Makes the link in `folder`, else beside the plugin where that folder is on the `PATH`, else in the first folder of
/// the `PATH` that can be written, those of the user's home before all others. `called` is the name that we were run by.
///
/// # Errors
/// See [`PlaceError`].
pub fn place(called: &Path, folder: Option<&Path>) -> Result<Placed, PlaceError> {
    let listed = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&listed).filter(|f| f.is_absolute()).collect();
    let lost = || PlaceError::Lost {
        called: called.display().to_string(),
    };
    let plugin = if called.components().count() > 1 {
        std::path::absolute(called).ok()
    } else {
        folders
            .iter()
            .map(|folder| folder.join(called))
            .find(|path| path.is_file())
    };
    let plugin = plugin.filter(|path| path.is_file()).ok_or_else(lost)?;
    let on_path = |path: &Path| folders.iter().any(|known| same_folder(known, path));
    let placed = |path: PathBuf, before: bool, on_path: bool| Placed {
        path,
        plugin: plugin.clone(),
        before,
        on_path,
    };
    let named = |folder: &Path| folder.join(format!("{NAME}{}", env::consts::EXE_SUFFIX));
    if let Some(folder) = folder {
        let path = named(&std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf()));
        return match made(&path, &plugin)? {
            Ok(before) => Ok(placed(path, before, on_path(folder))),
            Err(error) => Err(PlaceError::Unwritable {
                path: path.display().to_string(),
                error,
            }),
        };
    }
    // Another program's folder may be writable too, and is upgraded or removed with it.
    let home = env::var_os("HOME").map(PathBuf::from);
    folders.sort_by_key(|folder| !home.as_ref().is_some_and(|home| folder.starts_with(home)));
    if let Some(at) = folders
        .iter()
        .position(|known| plugin.parent().is_some_and(|beside| same_folder(known, beside)))
    {
        let beside = folders.remove(at);
        folders.insert(0, beside);
    }
    for folder in &folders {
        let path = named(folder);
        if let Ok(before) = made(&path, &plugin)? {
            return Ok(placed(path, before, true));
        }
    }
    Err(PlaceError::Nowhere {
        plugin: plugin.display().to_string(),
    })
}

fn same_folder(one: &Path, other: &Path) -> bool {
    one == other
        || one
            .canonicalize()
            .is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

/// Whether it was there before; why it cannot be made here, where another folder may do.
fn made(path: &Path, plugin: &Path) -> Result<Result<bool, io::Error>, PlaceError> {
    let target = match (path.parent(), plugin.parent(), plugin.file_name()) {
        // Beside it, so that both can be moved together.
        (Some(there), Some(here), Some(name)) if there == here => PathBuf::from(name),
        _ => plugin.to_path_buf(),
    };
    let taken = || PlaceError::Taken {
        path: path.display().to_string(),
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Ok(Err(error)),
        Ok(found) if found.file_type().is_symlink() => {
            let leads = fs::read_link(path).unwrap_or_default();
            if leads == target {
                return Ok(Ok(true));
            }
            let ours = leads
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(PLUGIN));
            if !ours {
                return Err(taken());
            }
            if let Err(error) = fs::remove_file(path) {
                return Ok(Err(error));
            }
        }
        Ok(found) => {
            // A package's script, or a copy where there are no links.
            let script = found.len() < 4096
                && fs::read_to_string(path).is_ok_and(|text| text.contains(&format!("{PLUGIN} __complete")));
            if script {
                return Ok(Ok(true));
            }
            if cfg!(unix) {
                return Err(taken());
            }
        }
    }
    Ok(linked(&target, plugin, path).map(|()| false))
}

#[cfg(unix)]
fn linked(target: &Path, _plugin: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

/// Links take a right there that few have.
#[cfg(not(unix))]
fn linked(_target: &Path, plugin: &Path, path: &Path) -> io::Result<()> {
    fs::copy(plugin, path).map(drop)
}
