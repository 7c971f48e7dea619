//! `#[derive(WorkflowInput)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, LitStr, Path};

use crate::attribute::{count, flag, read, required, value};
use crate::contract::Contract;
use crate::names::Form;
use crate::tenant::TenantSource;
use crate::{crate_path, fields};

const EXAMPLE: &str = "#[workflow(name = \"collect-payment\", version = 1)]";
const KEYS: [&str; 4] = ["name", "version", "upcast", "once_ever"];

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let domain = crate_path::domain()?;
    let all = fields::of(input, "a workflow's input")?;
    let attribute = WorkflowAttribute::of(input)?;
    let tenant = TenantSource::of(input, &all)?;
    let contract = Contract {
        input,
        fields: &all,
        wire_name: attribute.name.value(),
        version: attribute.version,
        upcast: attribute.upcast,
        tenant,
    }
    .emit(&domain);
    let (name, workflow) = (&input.ident, &attribute.name);
    let reuse = attribute
        .is_once_ever
        .then(|| quote!(const REUSE: #domain::workflows::IdReuse = #domain::workflows::IdReuse::OnceEver;));
    Ok(quote! {
        #contract

        #[automatically_derived]
        impl #domain::workflows::WorkflowInput for #name {
            const NAME: #domain::contract::WorkflowName = #domain::contract::WorkflowName::constant(#workflow);
            #reuse
        }
    })
}

/// `#[workflow(…)]`.
struct WorkflowAttribute {
    name: LitStr,
    version: u16,
    upcast: Option<Path>,
    is_once_ever: bool,
}

impl WorkflowAttribute {
    fn of(input: &DeriveInput) -> syn::Result<Self> {
        let (mut name, mut version, mut upcast, mut is_once_ever) = (None::<LitStr>, None, None, false);
        read(input, "workflow", EXAMPLE, &KEYS, |key, meta| {
            match key {
                "name" => name = Some(value(meta, "the workflow's name as a text")?),
                "version" => version = Some(count(meta, "the input's version, a number from 1 to 65535")?),
                "upcast" => upcast = Some(value(meta, "the path of a function")?),
                "once_ever" => is_once_ever = flag(meta)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let name = required(name, input, "workflow", "name")?;
        Form::Kebab.check(&name, "workflow name", "collect-payment")?;
        Ok(Self {
            name,
            version: required(version, input, "workflow", "version")?,
            upcast,
            is_once_ever,
        })
    }
}
