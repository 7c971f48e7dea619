//! What is asked for next: drawn, so that the same seed makes the same traffic.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use serde_json::{Value, json};

use crate::demo::call::{Body, Call, Expected, What};
use crate::demo::mailbox::{Link, Mailbox};
use crate::demo::world::{Account, InvitationState, Tenant, World};

/// The organizations it begins with: one does most of everything.
const FIRST_TENANTS: [(&str, u32); 5] = [
    ("Northwind Logistics", 40),
    ("Bluebird Health", 12),
    ("Fern & Oak Studio", 6),
    ("Delta Robotics", 4),
    ("Paper Lantern", 2),
];
/// And how many sign up later at most.
const MOST_TENANTS: usize = 12;
/// Records of a batch at most, and how many keys they have: few enough that some come again before they have settled.
const MOST_RECORDS: u32 = 8;
const SENSORS: u32 = 60;
/// The longest name, in characters, is shorter than this.
const TOO_LONG: usize = 10_000;

const SIGNED_UP: [&str; 5] = [
    "OrganizationCreated",
    "ProjectCreated",
    "UserSignedUp",
    "MemberJoined",
    "ApiKeyCreated",
];
const INVITED: [&str; 2] = ["InvitationCreated", "InvitationEmailRequested"];
const JOINED: [&str; 2] = ["UserSignedUp", "MemberJoined"];

/// Decides what is asked for.
pub(crate) struct Traffic {
    random: StdRng,
    run: String,
    numbers: u64,
    people: u64,
}

impl Traffic {
    /// `run` tells the people and requests of this run from those of every other.
    pub(crate) fn new(seed: u64, run: &str) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            run: run.to_owned(),
            numbers: 0,
            people: 0,
        }
    }

    /// What the addresses of its people end with.
    pub(crate) fn address_suffix(run: &str) -> String {
        format!(".{run}@example.com")
    }

    /// The next request, as far as `world` and the e-mails that arrived allow.
    pub(crate) fn next(&mut self, world: &mut World, mailbox: &mut Mailbox) -> Call {
        if world.tenants.len() < FIRST_TENANTS.len() {
            return self.sign_up(world);
        }
        let Some((place, account)) = self.tenant(world) else {
            // Nobody has signed up yet: links need nobody.
            return self.request_link(world);
        };
        match self.random.random_range(0..100_u32) {
            0..30 => self.ingest(world, place, &account),
            30..50 => self.invite(place, &account),
            50..62 => self
                .accept(world, mailbox, place)
                .unwrap_or_else(|| self.invite(place, &account)),
            62..70 => self.request_link(world),
            70..74 => self.follow_link(mailbox).unwrap_or_else(|| self.request_link(world)),
            74..79 => self
                .revoke(world, place, &account)
                .unwrap_or_else(|| self.invite(place, &account)),
            79..83 => self.create_project(place, &account),
            83..85 => self
                .delete_project(world, place, &account)
                .unwrap_or_else(|| self.create_project(place, &account)),
            85..87 => self.create_key(place, &account),
            87..88 => self
                .revoke_key(world, place, &account)
                .unwrap_or_else(|| self.create_key(place, &account)),
            88..93 => self
                .repeat(world)
                .unwrap_or_else(|| self.ingest(world, place, &account)),
            93..99 => self.bad(world, place, &account),
            _ if world.tenants.len() < MOST_TENANTS => self.sign_up(world),
            _ => self.invite(place, &account),
        }
    }

    /// An organization that has signed up, the bigger ones more often.
    fn tenant(&mut self, world: &World) -> Option<(usize, Account)> {
        let known: Vec<(usize, &Tenant)> = world
            .tenants
            .iter()
            .enumerate()
            .filter(|(_, tenant)| tenant.account.is_some())
            .collect();
        let total: u32 = known.iter().map(|(_, tenant)| tenant.weight).sum();
        if total == 0 {
            return None;
        }
        let mut drawn = self.random.random_range(0..total);
        for (place, tenant) in known {
            if drawn < tenant.weight {
                return Some((place, tenant.account.clone()?));
            }
            drawn -= tenant.weight;
        }
        None
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100_u32) < percent
    }

    fn person(&mut self) -> String {
        self.people += 1;
        format!("p{}{}", self.people, Self::address_suffix(&self.run))
    }

    fn call(&mut self, what: What, method: Method, path: impl Into<String>) -> Call {
        self.numbers += 1;
        let request_id = format!("demo-{}-{}", self.run, self.numbers);
        let is_post = method == Method::POST;
        Call {
            number: self.numbers,
            idempotency_key: is_post.then(|| request_id.clone()),
            request_id,
            what,
            method,
            path: path.into(),
            body: None,
            bearer: None,
            tenant: None,
            about: String::new(),
            expected: Expected::Taken,
            events: &[],
            is_repetition: false,
        }
    }

    fn of(mut call: Call, place: usize, account: &Account) -> Call {
        call.tenant = Some(place);
        call.bearer = Some(account.api_key.clone());
        call
    }

    fn with(mut call: Call, body: Value, events: &'static [&'static str]) -> Call {
        call.body = Some(Body::Json(body));
        call.events = events;
        call
    }

    fn sign_up(&mut self, world: &mut World) -> Call {
        let place = world.tenants.len();
        let (name, weight) = FIRST_TENANTS.get(place).map_or_else(
            || (format!("Newcomer {place}"), 2),
            |(name, weight)| ((*name).to_owned(), *weight),
        );
        let owner = self.person();
        let call = self.call(What::SignUp, Method::POST, "/v1/organizations");
        let body = json!({"name": name, "owner_email": owner});
        let mut call = Self::with(call, body, &SIGNED_UP);
        (call.tenant, call.about) = (Some(place), owner);
        world.tenants.push(Tenant::new(weight));
        call
    }

    fn ingest(&mut self, world: &World, place: usize, account: &Account) -> Call {
        let projects = world.tenants.get(place).map_or(&[][..], |tenant| &tenant.projects);
        // Another request may delete a project that is not the default one at any time.
        let drawn = self.random.random_range(0..=projects.len());
        let (project, expected) = match projects.get(drawn) {
            Some(project) => (project.clone(), Expected::Either),
            None => (account.project_id.clone(), Expected::Taken),
        };
        let count = self.random.random_range(1..=MOST_RECORDS);
        let mut records: Vec<Value> = (0..count)
            .map(|_| {
                let key = self.random.random_range(1..=SENSORS);
                json!({"key": format!("sensor-{key}"), "body": {"value": self.random.random_range(0..1_000_u32)}})
            })
            .collect();
        if self.chance(15) {
            records.push(json!({"key": "", "body": {"value": 0}}));
        }
        // One machine in each default project. The more there are to be told of an incident, the fewer there are of them.
        let joined = world.tenants.get(place).map_or(0, |tenant| tenant.joined);
        if project == account.project_id && self.chance(200 / (3 + joined)) {
            let severity = if self.chance(50) { "error" } else { "ok" };
            records.push(json!({"key": "machine", "body": {"severity": severity}}));
        }
        let call = self.call(
            What::Ingest,
            Method::POST,
            format!("/v1/projects/{project}/records:batch"),
        );
        let mut call = Self::with(call, json!({ "records": records }), &["RecordsIngested"]);
        call.expected = expected;
        call.about = project;
        Self::of(call, place, account)
    }

    fn invite(&mut self, place: usize, account: &Account) -> Call {
        let email = self.person();
        let role = if self.chance(10) { "admin" } else { "member" };
        let call = self.call(What::Invite, Method::POST, "/v1/invitations");
        let mut call = Self::with(call, json!({"email": email, "role": role}), &INVITED);
        call.about = email;
        Self::of(call, place, account)
    }

    /// One in ten tries a link whose invitation was revoked.
    fn accept(&mut self, world: &mut World, mailbox: &mut Mailbox, place: usize) -> Option<Call> {
        let wanted = if self.chance(10) {
            InvitationState::Revoked
        } else {
            InvitationState::Open
        };
        let invitations = &mut world.tenants.get_mut(place)?.invitations;
        let mut found = None;
        for invitation in invitations.iter_mut().filter(|one| one.state == wanted) {
            if let Some(Link::Join(token)) = mailbox.link_of(&invitation.email) {
                found = Some((invitation, token));
                break;
            }
        }
        let (invitation, token) = found?;
        let path = format!("/v1/invitations/{}/accept", invitation.id);
        let about = invitation.id.clone();
        if wanted == InvitationState::Open {
            invitation.state = InvitationState::Accepted;
        }
        let call = self.call(What::Accept, Method::POST, path);
        let mut call = Self::with(call, json!({ "token": token }), &JOINED);
        (call.tenant, call.about) = (Some(place), about);
        // Its time may be over, and its owner may have changed their mind.
        call.expected = if wanted == InvitationState::Open {
            Expected::Either
        } else {
            Expected::Refused
        };
        Some(call)
    }

    fn revoke(&mut self, world: &mut World, place: usize, account: &Account) -> Option<Call> {
        let invitations = &mut world.tenants.get_mut(place)?.invitations;
        let invitation = invitations
            .iter_mut()
            .rev()
            .find(|one| one.state == InvitationState::Open)?;
        invitation.state = InvitationState::BeingRevoked;
        let id = invitation.id.clone();
        let mut call = self.call(What::Revoke, Method::DELETE, format!("/v1/invitations/{id}"));
        call.about = id;
        Some(Self::of(call, place, account))
    }

    fn request_link(&mut self, world: &World) -> Call {
        let email = if self.chance(40) && !world.people.is_empty() {
            let drawn = self.random.random_range(0..world.people.len());
            world.people.get(drawn).cloned().unwrap_or_default()
        } else {
            self.person()
        };
        let call = self.call(What::RequestLink, Method::POST, "/v1/magic-links");
        let mut call = Self::with(call, json!({ "email": email }), &["MagicLinkEmailRequested"]);
        call.about = email;
        call
    }

    /// Someone who is new gets an organization with it; someone who is known nothing.
    fn follow_link(&mut self, mailbox: &mut Mailbox) -> Option<Call> {
        let (email, token) = mailbox.any_sign_in()?;
        let call = self.call(What::FollowLink, Method::POST, "/v1/magic-links/follow");
        let mut call = Self::with(call, json!({ "token": token }), &SIGNED_UP);
        call.about = email;
        Some(call)
    }

    fn create_project(&mut self, place: usize, account: &Account) -> Call {
        let number = self.numbers;
        let call = self.call(What::CreateProject, Method::POST, "/v1/projects");
        let call = Self::with(call, json!({"name": format!("Project {number}")}), &["ProjectCreated"]);
        Self::of(call, place, account)
    }

    fn delete_project(&mut self, world: &mut World, place: usize, account: &Account) -> Option<Call> {
        let projects = &mut world.tenants.get_mut(place)?.projects;
        if projects.is_empty() {
            return None;
        }
        let project = projects.swap_remove(self.random.random_range(0..projects.len()));
        let mut call = self.call(What::DeleteProject, Method::DELETE, format!("/v1/projects/{project}"));
        call.about = project;
        call.events = &["ProjectDeleted"];
        Some(Self::of(call, place, account))
    }

    fn create_key(&mut self, place: usize, account: &Account) -> Call {
        let call = self.call(What::CreateKey, Method::POST, "/v1/api-keys");
        Self::of(Self::with(call, json!({}), &["ApiKeyCreated"]), place, account)
    }

    fn revoke_key(&mut self, world: &mut World, place: usize, account: &Account) -> Option<Call> {
        let key = world.tenants.get_mut(place)?.keys.pop()?;
        let mut call = self.call(What::RevokeKey, Method::DELETE, format!("/v1/api-keys/{key}"));
        call.about = key;
        call.events = &["ApiKeyRevoked"];
        Some(Self::of(call, place, account))
    }

    /// A request that was answered, once more under its key: a client that lost the answer.
    fn repeat(&mut self, world: &World) -> Option<Call> {
        if world.repeatable.is_empty() {
            return None;
        }
        let drawn = self.random.random_range(0..world.repeatable.len());
        let (call, _) = world.repeatable.get(drawn)?;
        Some(Call {
            is_repetition: true,
            expected: Expected::Taken,
            ..call.clone()
        })
    }

    /// Something that must be refused, and leave nothing.
    fn bad(&mut self, world: &World, place: usize, account: &Account) -> Call {
        let stranger = world.tenants.iter().enumerate().find_map(|(other, tenant)| {
            let theirs = tenant.account.as_ref().filter(|_| other != place)?;
            Some(theirs.project_id.clone())
        });
        let json_type = "application/json";
        let long: String = "x".repeat(TOO_LONG);
        let (path, body) = match self.random.random_range(0..10_u32) {
            0 => ("/v1/invitations".into(), Body::Raw("{\"email\": ".into(), json_type)),
            1 => ("/v1/invitations".into(), Body::Json(json!({"role": "member"}))),
            2 => (
                "/v1/invitations".into(),
                Body::Json(json!({"email": "nobody", "role": "member"})),
            ),
            3 => (
                "/v1/invitations".into(),
                Body::Json(json!({"email": "a@example.com", "role": "emperor"})),
            ),
            4 => ("/v1/projects".into(), Body::Json(json!({ "name": long }))),
            5 => ("/v1/projects".into(), Body::Json(json!({"name": "x", "colour": "red"}))),
            6 => (
                "/v1/projects".into(),
                Body::Raw("name=x".into(), "application/x-www-form-urlencoded"),
            ),
            7 => (
                "/v1/invitations/nothing/accept".into(),
                Body::Json(json!({"token": "x"})),
            ),
            8 => (
                "/v1/projects/nothing/records:batch".into(),
                Body::Json(json!({"records": [{"key": "a", "body": 1}]})),
            ),
            _ => (
                format!(
                    "/v1/projects/{}/records:batch",
                    stranger.unwrap_or_else(|| "nothing".into())
                ),
                Body::Json(json!({"records": [{"key": "a", "body": 1}]})),
            ),
        };
        let wrong_key = self.chance(15);
        let mut call = self.call(What::Bad, Method::POST, path);
        call.body = Some(body);
        call.expected = Expected::Refused;
        let mut call = Self::of(call, place, account);
        if wrong_key {
            call.bearer = Some("nobodys".into());
        }
        call
    }
}
