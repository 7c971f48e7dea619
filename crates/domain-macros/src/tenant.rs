//! Whose a contract is: the two ids it must carry, or its exemption.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Field};

use crate::exemption::{ExemptFrom, Exemption};
use crate::fields;

/// Where a contract's tenant comes from.
pub(crate) struct TenantSource<'a> {
    organization: Option<&'a Field>,
    project: Option<&'a Field>,
    exemption: Option<Exemption>,
}

impl<'a> TenantSource<'a> {
    /// Finds it, or says which id is missing and what can be done.
    pub(crate) fn of(input: &DeriveInput, all: &[&'a Field]) -> syn::Result<Self> {
        let exemption = Exemption::of(input)?;
        let (marked_organization, marked_project) = (
            fields::marked(all, "organization_id")?,
            fields::marked(all, "project_id")?,
        );
        let organization = marked_organization.or_else(|| fields::named(all, "organization_id"));
        let project = marked_project.or_else(|| fields::named(all, "project_id"));
        let name = &input.ident;
        match exemption.as_ref().map(|exemption| exemption.from) {
            None => match (organization, project) {
                (Some(_), Some(_)) => Ok(Self {
                    organization,
                    project,
                    exemption,
                }),
                (Some(_), None) => Err(missing(input, "no project id", "organization", "project_id")),
                (None, Some(_)) => Err(missing(input, "no organization id", "system", "organization_id")),
                (None, None) => Err(missing_both(input)),
            },
            Some(ExemptFrom::Project) => match (organization, project) {
                (Some(_), None) => Ok(Self {
                    organization,
                    project,
                    exemption,
                }),
                (None, _) => Err(syn::Error::new(
                    name.span(),
                    format!(
                        "`{name}` is exempt from the project id, not from the organization id: add a field \
                         `organization_id: OrganizationId` or mark one with `#[organization_id]`; \
                         if it belongs to no organization, write `#[exempt(system, \"reason\")]`"
                    ),
                )),
                (Some(_), Some(project)) => Err(syn::Error::new(
                    fields::ident(project).span(),
                    format!("`{name}` has a project id, so it needs no exemption: remove `#[exempt(organization, …)]`"),
                )),
            },
            // Ids in a system contract are plain facts; a mark would say the opposite of the exemption.
            Some(ExemptFrom::Tenant) => match marked_organization.or(marked_project) {
                None => Ok(Self {
                    organization: None,
                    project: None,
                    exemption,
                }),
                Some(field) => Err(syn::Error::new(
                    fields::ident(field).span(),
                    format!("`{name}` is exempt from having a tenant, so no field of it can be marked as one"),
                )),
            },
        }
    }

    /// The variant of `Scope`.
    pub(crate) fn scope(&self) -> TokenStream {
        match (self.organization, self.project) {
            (Some(_), Some(_)) => quote!(Project),
            (Some(_), None) => quote!(Organization),
            (None, _) => quote!(System),
        }
    }

    /// The `Option<&'static str>` of the reason.
    pub(crate) fn exemption(&self) -> TokenStream {
        match &self.exemption {
            None => quote!(::core::option::Option::None),
            Some(Exemption { reason, .. }) => quote!(::core::option::Option::Some(#reason)),
        }
    }

    /// The expression that makes the `Tenant` from `self`.
    pub(crate) fn tenant(&self, domain: &TokenStream) -> TokenStream {
        match (self.organization, self.project) {
            (Some(organization), Some(project)) => {
                let organization = id(organization);
                let project = id(project);
                quote!(#domain::contract::Tenant::Project { organization: #organization, project: #project })
            }
            (Some(organization), None) => {
                let organization = id(organization);
                quote!(#domain::contract::Tenant::Organization { organization: #organization })
            }
            (None, _) => quote!(#domain::contract::Tenant::System),
        }
    }
}

/// The id in `field`; spanned at its type, so that a type that does not convert is shown there.
fn id(field: &Field) -> TokenStream {
    let name = fields::ident(field);
    quote_spanned!(field.ty.span()=> ::core::convert::Into::into(::core::clone::Clone::clone(&self.#name)))
}

fn missing(input: &DeriveInput, what: &str, exempt: &str, field: &str) -> syn::Error {
    let name = &input.ident;
    let ty = if field == "project_id" {
        "ProjectId"
    } else {
        "OrganizationId"
    };
    syn::Error::new(
        name.span(),
        format!(
            "`{name}` has {what}: every contract carries an organization id and a project id, so that each message \
             belongs to a tenant.\nAdd a field `{field}: {ty}`, or mark the field that holds it with `#[{field}]`.\n\
             If `{name}` really belongs to {whom}, say why: `#[exempt({exempt}, \"reason\")]`",
            whom = if exempt == "organization" {
                "no single project"
            } else {
                "no organization"
            },
        ),
    )
}

fn missing_both(input: &DeriveInput) -> syn::Error {
    let name = &input.ident;
    syn::Error::new(
        name.span(),
        format!(
            "`{name}` has no organization id and no project id: every contract carries both, so that each message \
             belongs to a tenant.\nAdd fields `organization_id: OrganizationId` and `project_id: ProjectId`, or mark \
             the fields that hold them with `#[organization_id]` and `#[project_id]`.\n\
             If `{name}` really belongs to no tenant, say why: `#[exempt(system, \"reason\")]`",
        ),
    )
}
