//! Files of a chart that are asked for without the chart: what ChartMuseum's API shows of a version.

/// What of an archive is wanted besides Chart.yaml.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// values.yaml.
    Values,
    /// What lies under templates.
    Templates,
    /// README.md, in the spellings that `helm show readme` knows.
    Readme,
    /// values.schema.json.
    Schema,
    /// Every file, Chart.yaml with them: what is compared. No path names it.
    Everything,
}

/// A file of a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Its path in the chart's folder.
    pub(crate) name: String,
    /// Its content, without the mark of its encoding, which Helm drops as well.
    pub(crate) data: Vec<u8>,
}

impl Kept {
    pub(super) fn new(name: String, mut data: Vec<u8>) -> Self {
        if data.starts_with(b"\xef\xbb\xbf") {
            data.drain(..3);
        }
        Self { name, data }
    }
}

impl Part {
    /// The part of this name in a path.
    pub(crate) fn named(word: &str) -> Option<Self> {
        [Self::Values, Self::Templates, Self::Readme, Self::Schema]
            .into_iter()
            .find(|part| part.word() == word)
    }

    /// Its name in a path.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Values => "values",
            Self::Templates => "templates",
            Self::Readme => "readme",
            Self::Schema => "schema",
            Self::Everything => "everything",
        }
    }

    /// Whether the file at this path in the chart's folder is of it.
    pub(super) fn takes(self, path: &[String]) -> bool {
        match (self, path) {
            (Self::Values, [file]) => file == "values.yaml",
            (Self::Templates, [folder, _, ..]) => folder == "templates",
            (Self::Readme, [file]) => ["readme.md", "readme.txt", "readme"]
                .iter()
                .any(|name| file.eq_ignore_ascii_case(name)),
            (Self::Schema, [file]) => file == "values.schema.json",
            // Chart.yaml is kept anyway.
            (Self::Everything, path) => path != ["Chart.yaml"],
            _ => false,
        }
    }
}
