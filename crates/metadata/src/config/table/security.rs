//! Security.

use crate::config::definition::Effect::WithoutEffect;
use crate::config::definition::{ConfigDefinition, boolean, list, password, string};

pub(super) const SECURITY: &[ConfigDefinition] = &[
    list("sasl.enabled.mechanisms", "GSSAPI", WithoutEffect, "The SASL mechanisms offered. SASL is not supported yet.")
        .per_broker(),
    password(
        "ssl.keystore.certificate.chain",
        "",
        WithoutEffect,
        "The certificate chain, in PEM. TLS is not supported yet.",
    )
    .without_default()
    .per_broker(),
    password("ssl.keystore.key", "", WithoutEffect, "The private key, in PEM. TLS is not supported yet.")
        .without_default()
        .per_broker(),
    password(
        "ssl.truststore.certificates",
        "",
        WithoutEffect,
        "The trusted certificates, in PEM. TLS is not supported yet.",
    )
    .without_default()
    .per_broker(),
    string(
        "super.users",
        "",
        WithoutEffect,
        "The principals that may do everything. Authorization is not supported yet.",
    ),
    boolean(
        "allow.everyone.if.no.acl.found",
        "false",
        WithoutEffect,
        "Whether everyone may use a resource without ACLs. Authorization is not supported yet.",
    ),
    string("authorizer.class.name", "", WithoutEffect, "The authorizer. Authorization is not supported yet."),
];
