//! Helm chart repositories, as `helm repo add` and `curl` meet them.

mod api;
mod bombs;
mod metadata;
mod repositories;
mod versions;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A chart's archive: Chart.yaml with these lines at its end, and a template.
fn chart(name: &str, version: &str, more: &str) -> Vec<u8> {
    let yaml = format!("apiVersion: v2\nname: {name}\nversion: {version}\n{more}");
    archive(
        &[("Chart.yaml", yaml.as_bytes()), ("templates/config.yaml", b"kind: ConfigMap\n")],
        name,
    )
}

/// An archive of these files in a folder.
fn archive(files: &[(&str, &[u8])], folder: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("{folder}/{path}"), *content).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}
