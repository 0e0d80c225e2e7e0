//! Merging: flag over environment over file over default. Every problem is found before any is reported.

use super::Config;
use super::settings::{SETTINGS, find, nearest};
use super::values::{Origin, Values};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the command line can set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    /// `--config`.
    pub(crate) config: Option<PathBuf>,
    /// `--data`.
    pub(crate) data: Option<PathBuf>,
    /// `--listen`.
    pub(crate) listen: Option<String>,
}

/// A configuration and where each value came from.
pub(crate) struct Loaded {
    /// The checked values.
    pub(crate) config: Config,
    values: BTreeMap<&'static str, (String, Origin)>,
}

impl Loaded {
    /// Loads from this process: its environment, and the file that the flags name.
    ///
    /// # Errors
    /// One sentence for each problem.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub(crate) fn from_process(flags: &Flags) -> Result<Self, Vec<String>> {
        let file = match &flags.config {
            None => None,
            Some(path) => match std::fs::read_to_string(path) {
                Ok(text) => Some((path.clone(), text)),
                Err(error) => return Err(vec![format!("{}: {error}", path.display())]),
            },
        };
        // What is not text cannot be one of ours.
        let env = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        load(flags, env, file.as_ref())
    }

    /// Every setting with its value, and with its origin when asked. Secrets are masked.
    pub(crate) fn show(&self, origin: bool) -> Vec<Vec<String>> {
        SETTINGS
            .iter()
            .filter_map(|setting| {
                let (value, Origin(from)) = self.values.get(setting.key)?;
                let shown = if setting.secret && !value.is_empty() { "(secret)" } else { value };
                let mut row = vec![setting.key.to_owned(), shown.to_owned()];
                row.extend(origin.then(|| from.clone()));
                Some(row)
            })
            .collect()
    }
}

/// Merges and checks.
pub(super) fn load(
    flags: &Flags,
    env: impl IntoIterator<Item = (String, String)>,
    file: Option<&(PathBuf, String)>,
) -> Result<Loaded, Vec<String>> {
    let default = |setting: &super::settings::Setting| (setting.key, (setting.default.to_owned(), Origin("default".to_owned())));
    let mut values = Values {
        values: SETTINGS.iter().map(default).collect(),
        problems: Vec::new(),
    };
    if let Some((path, text)) = file {
        read_file(&mut values, path, text);
    }
    let admin_password = read_environment(&mut values, env);
    let data = flags
        .data
        .as_ref()
        .map(|path| ("storage.path", path.display().to_string(), "flag --data"));
    let listen = flags
        .listen
        .as_ref()
        .map(|listen| ("server.listen", listen.clone(), "flag --listen"));
    for (key, value, origin) in data.into_iter().chain(listen) {
        values.values.insert(key, (value, Origin(origin.to_owned())));
    }
    let config = Config::read(&mut values, admin_password);
    if values.problems.is_empty() {
        Ok(Loaded {
            config,
            values: values.values,
        })
    } else {
        let secrets = SETTINGS
            .iter()
            .filter(|setting| setting.secret)
            .filter_map(|setting| values.values.get(setting.key));
        let hide: Vec<&str> = secrets.map(|(value, _)| value.as_str()).filter(|value| !value.is_empty()).collect();
        let masked = |problem: String| {
            hide.iter()
                .fold(problem, |text, value| text.replace(&format!("{value:?}"), "(secret)"))
        };
        Err(values.problems.into_iter().map(masked).collect())
    }
}

fn read_file(values: &mut Values, path: &Path, text: &str) {
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => return values.problems.push(format!("{}: {error}", path.display())),
    };
    for (section, content) in table {
        let Some(content) = content.as_table() else {
            values
                .problems
                .push(format!("{}: {section} must be a section, written [{section}]", path.display()));
            continue;
        };
        for (name, value) in content {
            let key = format!("{section}.{name}");
            match (find(&key), as_text(value)) {
                (Some(setting), Some(text)) => {
                    values
                        .values
                        .insert(setting.key, (text, Origin(format!("file {}", path.display()))));
                }
                (Some(_), None) => values.problems.push(format!(
                    "{}: {key} must be text, a number, true or false, or a list of texts",
                    path.display()
                )),
                (None, _) => values.problems.push(format!(
                    "{}: there is no setting {key}; did you mean {}?",
                    path.display(),
                    nearest(&key)
                )),
            }
        }
    }
}

fn as_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(parts) => parts
            .iter()
            .map(|part| part.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .map(|parts| parts.join(",")),
        _ => None,
    }
}

/// Reads `GRANARY_SECTION__NAME`, and `…_FILE` for secrets; gives the first administrator's password.
fn read_environment(values: &mut Values, env: impl IntoIterator<Item = (String, String)>) -> Option<String> {
    let mut admin_password = None;
    for (variable, value) in env {
        match variable.as_str() {
            "GRANARY_ADMIN_PASSWORD" => admin_password = Some(value.clone()),
            "GRANARY_ADMIN_PASSWORD_FILE" => admin_password = read_secret(values, &variable, &value).or(admin_password),
            _ => {}
        }
        let Some(name) = variable.strip_prefix("GRANARY_") else { continue };
        if !name.contains("__") {
            // Others may have variables of this prefix (a cluster names its services so); only what is nearly ours is a mistake.
            if let Some(meant) = nearly(name) {
                values
                    .problems
                    .push(format!("there is no setting for {variable}; did you mean {meant}?"));
            }
            continue;
        }
        let key = name.to_ascii_lowercase().replacen("__", ".", 1);
        if let Some(setting) = find(&key) {
            values.values.insert(setting.key, (value, Origin(format!("env {variable}"))));
        } else if let Some(setting) = key.strip_suffix("_file").and_then(find).filter(|setting| setting.secret) {
            if let Some(secret) = read_secret(values, &variable, &value) {
                values.values.insert(setting.key, (secret, Origin(format!("env {variable}"))));
            }
        } else {
            let meant = nearest(&key).to_ascii_uppercase().replacen('.', "__", 1);
            values
                .problems
                .push(format!("there is no setting for {variable}; did you mean GRANARY_{meant}?"));
        }
    }
    admin_password
}

/// The variable that was probably meant by one of ours written with a single underscore or a slip.
fn nearly(name: &str) -> Option<String> {
    const ADMIN: [&str; 2] = ["ADMIN_PASSWORD", "ADMIN_PASSWORD_FILE"];
    if ADMIN.contains(&name) {
        return None;
    }
    if let Some(setting) = find(&name.to_ascii_lowercase().replacen('_', ".", 1)) {
        return Some(format!("GRANARY_{}", setting.key.to_ascii_uppercase().replacen('.', "__", 1)));
    }
    let slip = |admin: &&&str| strsim::damerau_levenshtein(admin, name) <= 2;
    ADMIN.iter().find(slip).map(|admin| format!("GRANARY_{admin}"))
}

fn read_secret(values: &mut Values, variable: &str, path: &str) -> Option<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Some(text.strip_suffix('\n').unwrap_or(&text).to_owned()),
        Err(error) => {
            values.problems.push(format!("{variable} = {path:?}: {error}"));
            None
        }
    }
}
