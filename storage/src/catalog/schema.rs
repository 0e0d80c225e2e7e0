//! The tables, as both databases have them. The migrations are the source; a test reads every column on both.
#![allow(missing_docs, reason = "the migrations say what each column is")]

diesel::table! {
    project (id) {
        id -> BigInt,
        name -> Text,
        public -> Bool,
        created_at -> BigInt,
        mutable_versions -> Bool,
        immutable_files -> Bool,
    }
}

diesel::table! {
    repository (id) {
        id -> BigInt,
        project -> BigInt,
        full_name -> Text,
        format -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    blob (digest) {
        digest -> Text,
        size -> BigInt,
        storage_key -> Text,
        checksums -> Binary,
        state -> Text,
        last_touch -> BigInt,
        sha1 -> Nullable<Text>,
        md5 -> Nullable<Text>,
        sha512 -> Nullable<Text>,
    }
}

diesel::table! {
    repository_blob (repository, digest) {
        repository -> BigInt,
        digest -> Text,
        lease_until -> BigInt,
    }
}

diesel::table! {
    manifest (digest) {
        digest -> Text,
        bytes -> Binary,
    }
}

diesel::table! {
    artifact (repository, digest) {
        repository -> BigInt,
        digest -> Text,
        kind -> Text,
        media_type -> Text,
        artifact_type -> Nullable<Text>,
        subject -> Nullable<Text>,
        size -> BigInt,
        total_size -> BigInt,
        labels -> Text,
        descriptor -> Nullable<Text>,
        pushed_at -> BigInt,
        pushed_by -> Text,
        state -> Text,
        trashed_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    edge (repository, parent, child, role) {
        repository -> BigInt,
        parent -> Text,
        child -> Text,
        role -> Text,
        required -> Bool,
    }
}

diesel::table! {
    version (repository, name) {
        repository -> BigInt,
        name -> Text,
        digest -> Text,
        updated_at -> BigInt,
        updated_by -> Text,
        state -> Text,
        media_type -> Nullable<Text>,
        labels -> Text,
        release -> Nullable<Text>,
        release_key -> Nullable<Text>,
        prerelease -> Nullable<Bool>,
    }
}

diesel::table! {
    label (repository, version, key) {
        repository -> BigInt,
        version -> Text,
        key -> Text,
        value -> Text,
    }
}

diesel::table! {
    version_history (id) {
        id -> BigInt,
        repository -> BigInt,
        name -> Text,
        digest -> Nullable<Text>,
        at -> BigInt,
        principal -> Text,
    }
}

diesel::table! {
    upload (id) {
        id -> Text,
        repository -> BigInt,
        principal -> Text,
        algorithm -> Text,
        byte_offset -> BigInt,
        epoch -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    event (seq) {
        seq -> BigInt,
        at -> BigInt,
        principal -> Text,
        kind -> Text,
        repository -> Nullable<BigInt>,
        body -> Text,
    }
}

diesel::table! {
    follower_cursor (follower) {
        follower -> Text,
        seq -> BigInt,
    }
}

diesel::table! {
    job (id) {
        id -> BigInt,
        kind -> Text,
        body -> Text,
        run_after -> BigInt,
        lease_until -> BigInt,
        attempts -> BigInt,
    }
}

diesel::table! {
    account (id) {
        id -> BigInt,
        name -> Text,
        password_hash -> Text,
        admin -> Bool,
        disabled -> Bool,
        generation -> BigInt,
        created_at -> BigInt,
    }
}

diesel::table! {
    project_member (project, account) {
        project -> BigInt,
        account -> BigInt,
        role -> Text,
    }
}

diesel::table! {
    signing_key (id) {
        id -> Text,
        pkcs8 -> Binary,
        created_at -> BigInt,
    }
}

diesel::table! {
    refresh_token (hash) {
        hash -> Text,
        account -> BigInt,
        generation -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    chart (repository, digest) {
        repository -> BigInt,
        digest -> Text,
        prefix -> Text,
        name -> Text,
        version -> Text,
        tag -> Text,
        file -> Text,
        content -> Text,
        content_size -> BigInt,
        provenance -> Nullable<Text>,
        metadata -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    chart_unlisted (repository, digest) {
        repository -> BigInt,
        digest -> Text,
        reason -> Text,
    }
}

diesel::table! {
    chart_mark (repository, tag) {
        repository -> BigInt,
        tag -> Text,
        yanked -> Nullable<Text>,
        deprecated -> Bool,
    }
}

diesel::table! {
    chart_event (seq) {
        seq -> BigInt,
        prefix -> Text,
        repository -> BigInt,
        at -> BigInt,
    }
}

diesel::table! {
    chart_image (repository, digest, position) {
        repository -> BigInt,
        digest -> Text,
        position -> BigInt,
        name -> Text,
        image -> Text,
        registry -> Nullable<Text>,
        path -> Nullable<Text>,
        tag -> Nullable<Text>,
        image_digest -> Nullable<Text>,
    }
}

diesel::table! {
    chart_publisher (prefix) {
        prefix -> Text,
        project -> BigInt,
        content -> Binary,
        updated_at -> BigInt,
        updated_by -> Text,
    }
}

diesel::table! {
    tus_upload (id) {
        id -> Text,
        repository -> BigInt,
        principal -> Text,
        length -> Nullable<BigInt>,
        metadata -> Text,
        concat -> Nullable<Text>,
        part_of -> Nullable<Text>,
        place -> Nullable<BigInt>,
        digest -> Nullable<Text>,
        done -> Bool,
        expires_at -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    project,
    repository,
    blob,
    repository_blob,
    manifest,
    artifact,
    edge,
    version,
    account,
    project_member,
    refresh_token,
    chart,
    chart_mark,
    chart_unlisted,
    chart_image,
    upload,
    tus_upload
);

diesel::joinable!(repository -> project (project));
diesel::joinable!(tus_upload -> repository (repository));
diesel::joinable!(repository_blob -> blob (digest));
diesel::joinable!(repository_blob -> repository (repository));
diesel::joinable!(refresh_token -> account (account));
diesel::joinable!(project_member -> account (account));
