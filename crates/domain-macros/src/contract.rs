//! What events and tasks share: `impl Contract`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Field, Path};

use crate::payload_assertion::assert_fields;
use crate::tenant::TenantSource;

/// What `impl Contract` is made of.
pub(crate) struct Contract<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) fields: &'a [&'a Field],
    pub(crate) wire_name: String,
    pub(crate) version: u16,
    pub(crate) upcast: Option<Path>,
    pub(crate) tenant: TenantSource<'a>,
}

impl Contract<'_> {
    /// `impl Contract`, and the proof that every field may be part of a payload.
    pub(crate) fn emit(&self, domain: &TokenStream) -> TokenStream {
        let Self {
            input,
            fields,
            wire_name,
            version,
            upcast,
            tenant,
        } = self;
        let name = &input.ident;
        let assertion = assert_fields(domain, name, &input.generics, fields.iter().copied());
        let (scope, exemption, tenant) = (tenant.scope(), tenant.exemption(), tenant.tenant(domain));
        let upcast = upcast.as_ref().map(|function| {
            // Spanned at the path, so that a function of another signature is shown there.
            let call = quote_spanned!(function.span()=> #function(from, payload));
            quote! {
                fn upcast(
                    from: u16,
                    payload: #domain::derive_support::serde_json::Value,
                ) -> ::core::result::Result<#domain::derive_support::serde_json::Value, #domain::contract::UpcastError> {
                    #call
                }
            }
        });
        quote! {
            #[automatically_derived]
            impl #domain::contract::Contract for #name {
                const VERSION: u16 = #version;
                const SCOPE: #domain::contract::Scope = #domain::contract::Scope::#scope;
                const EXEMPTION: ::core::option::Option<&'static str> = #exemption;

                fn contract_name() -> ::std::string::String {
                    ::std::string::String::from(#wire_name)
                }

                fn tenant(&self) -> #domain::contract::Tenant {
                    #tenant
                }

                #upcast
            }

            #assertion
        }
    }
}
