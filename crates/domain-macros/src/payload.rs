//! `#[derive(Payload)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Field};

use crate::crate_path;
use crate::payload_assertion::assert_fields;

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let domain = crate_path::domain()?;
    let fields: Vec<&Field> = match &input.data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.fields).collect(),
        Data::Union(data) => {
            return Err(syn::Error::new(
                data.union_token.span,
                "a union cannot be part of a payload; use an enum",
            ));
        }
    };
    let name = &input.ident;
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        parameter
            .bounds
            .push(syn::parse_quote!(#domain::contract::PayloadField));
    }
    let assertion = assert_fields(&domain, name, &generics, fields.into_iter());
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    Ok(quote! {
        #assertion

        #[automatically_derived]
        impl #impl_generics #domain::contract::PayloadField for #name #type_generics #where_clause {}
    })
}
