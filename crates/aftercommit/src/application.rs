//! The builder: an application says what it has, and runs.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::TopicName;
use aftercommit_domain::events::{DOMAIN_EVENTS_TOPIC, EventCatalogue, Routes};
use aftercommit_domain::tasks::{InvalidSchedule, Schedule};
use aftercommit_domain::workflows::WORKFLOW_REQUESTS_TOPIC;
use aftercommit_platform_config::{Role, Settings, TemporalSettings};
use aftercommit_platform_telemetry::{LogFormat, LogOptions, MetricsHandle};
use aftercommit_runtime::worker::Topic;
use aftercommit_runtime::{CountedPublisher, Engine, Health, Roles, StartError, workflow_requests_topic};
use axum::Router;
use futures::future::BoxFuture;
use tokio::net::TcpListener;

use crate::engine_options::{declared_schedules, engine_options};
use crate::foundation::Foundation;
use crate::http;
use crate::http::seen_since::SeenSince;
use crate::kit::{Kit, KitParts, Operations};
use crate::opened::Opened;
use crate::providers::{self, Purpose};
use crate::roles::{ShownRoles, configured_roles};
use crate::serve;
use crate::served::Served;
use crate::startup::{StartupError, report};
use crate::workflows::{HostedWorkflows, WorkflowEngine, Workflows};

type StartHook =
    Box<dyn FnOnce(Kit) -> BoxFuture<'static, Result<(), Box<dyn std::error::Error + Send + Sync>>> + Send>;
type MakeEngine = Box<dyn FnOnce(&TemporalSettings) -> Result<Arc<dyn WorkflowEngine>, StartupError> + Send>;
type Make<T> = Box<dyn FnOnce(Kit) -> BoxFuture<'static, Result<T, StartupError>> + Send>;

/// An application on Aftercommit: its events, what follows from them, and who does it.
pub struct Aftercommit {
    source: Arc<str>,
    catalogue: EventCatalogue,
    routes: Box<dyn FnOnce(&Settings) -> Routes + Send>,
    topics: Vec<Make<Vec<Topic>>>,
    schedules: Vec<Result<Schedule, InvalidSchedule>>,
    workflows: Vec<Make<Workflows>>,
    workflow_engine: Option<MakeEngine>,
    routers: Vec<Make<Router>>,
    on_start: Vec<StartHook>,
    next_steps: Option<String>,
    roles: Option<Roles>,
}

impl Aftercommit {
    /// An application configured from the environment and `aftercommit.toml`.
    pub fn from_env() -> Self {
        Self {
            source: "/aftercommit".into(),
            catalogue: EventCatalogue::new(),
            routes: Box::new(|_| Routes::new()),
            topics: Vec::new(),
            schedules: Vec::new(),
            workflows: Vec::new(),
            workflow_engine: None,
            routers: Vec::new(),
            on_start: Vec::new(),
            next_steps: None,
            roles: None,
        }
    }

    /// What its events say they come from: a URI reference. Defaults to `/aftercommit`.
    pub fn source(mut self, source: &str) -> Self {
        self.source = source.into();
        self
    }

    /// The events it knows: `catalogue![InvoicePaid]`.
    pub fn events(mut self, catalogue: EventCatalogue) -> Self {
        self.catalogue = catalogue;
        self
    }

    /// What follows from them.
    pub fn routes(self, routes: Routes) -> Self {
        self.routes_of(|_| routes)
    }

    /// What follows from them, where it depends on the configuration: how long a debounced task waits, for example.
    pub fn routes_of(mut self, routes: impl FnOnce(&Settings) -> Routes + Send + 'static) -> Self {
        self.routes = Box::new(routes);
        self
    }

    /// The events and the routes of the reference product, at the configured pace.
    #[cfg(feature = "reference")]
    pub fn reference_product(self) -> Self {
        use aftercommit_domain::reference;
        self.events(reference::catalogue())
            .routes_of(|settings| reference::routes_at(providers::product_pace(settings)))
    }

    /// A topic whose handlers need nothing of the kit.
    pub fn topic(self, topic: Topic) -> Self {
        self.topics(|_| async { Ok(vec![topic]) })
    }

    /// Topics whose handlers are built with the kit: its database, its publishers, its configuration.
    pub fn topics<F, Fut>(mut self, topics: F) -> Self
    where
        F: FnOnce(Kit) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<Topic>, StartupError>> + Send + 'static,
    {
        self.topics.push(Box::new(|kit| Box::pin(topics(kit))));
        self
    }

    /// A schedule: what is published again and again, and when. Added, changed and removed with the code that declares it; one
    /// that cannot be meant is refused when the application starts.
    /// `.schedule(Schedule::declare("weekly-digest", "0 9 * * 5").publishes(&TriggerWeekly {}))` is one.
    pub fn schedule(mut self, schedule: Result<Schedule, InvalidSchedule>) -> Self {
        self.schedules.push(schedule);
        self
    }

    /// Workflows and their activities, which are built with the kit. A process with an engine runs them; without one it says
    /// so when it starts, and what is to be started waits.
    pub fn workflows<F, Fut>(mut self, workflows: F) -> Self
    where
        F: FnOnce(Kit) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Workflows, StartupError>> + Send + 'static,
    {
        self.workflows.push(Box::new(|kit| Box::pin(workflows(kit))));
        self
    }

    /// What runs workflows, made when `TEMPORAL_ADDRESS` says where it is. Without it, a process refuses that key.
    pub fn workflow_engine<F>(mut self, make: F) -> Self
    where
        F: FnOnce(&TemporalSettings) -> Result<Arc<dyn WorkflowEngine>, StartupError> + Send + 'static,
    {
        self.workflow_engine = Some(Box::new(make));
        self
    }

    /// HTTP routes of its own, beside `/health`, `/ready`, `/metrics` and `/admin/v1`, which are always the kit's. Its
    /// fallback answers what neither knows.
    pub fn http<F, Fut>(mut self, router: F) -> Self
    where
        F: FnOnce(Kit) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Router, StartupError>> + Send + 'static,
    {
        self.routers.push(Box::new(|kit| Box::pin(router(kit))));
        self
    }

    /// Something to do before anything runs, such as the application's own migrations.
    pub fn on_start<F, Fut>(mut self, hook: F) -> Self
    where
        F: FnOnce(Kit) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        self.on_start.push(Box::new(|kit| Box::pin(hook(kit))));
        self
    }

    /// What the first screen suggests to try.
    pub fn next_steps(mut self, text: impl Into<String>) -> Self {
        self.next_steps = Some(text.into());
        self
    }

    /// What this process does, whatever the configuration says. Defaults to `AFTERCOMMIT_WORKER__ROLES` and
    /// `AFTERCOMMIT_WORKER__TOPICS`, and they to everything.
    pub fn roles(mut self, roles: Roles) -> Self {
        self.roles = Some(roles);
        self
    }

    /// Runs until it is told to stop. Prints why when it cannot start: exit status 78 for what must be changed in the
    /// configuration or the code, 1 for what may pass by itself, 0 after a clean stop.
    pub async fn run(self) -> ExitCode {
        let result = match Settings::load() {
            Ok(settings) => Box::pin(self.run_with(settings)).await,
            Err(errors) => Err(errors.into()),
        };
        result.unwrap_or_else(|error| report(&error))
    }

    /// Runs with these settings. Logs and metrics are set up here.
    ///
    /// # Errors
    /// Why it cannot start. What was opened is closed again.
    pub async fn run_with(self, settings: Settings) -> Result<ExitCode, StartupError> {
        let format = match settings.log.format {
            aftercommit_platform_config::LogFormat::Pretty => LogFormat::Pretty,
            aftercommit_platform_config::LogFormat::Json => LogFormat::Json,
        };
        aftercommit_platform_telemetry::init(&LogOptions::new(settings.log.filter.clone(), format))
            .map_err(|error| StartupError::Log(error.to_string()))?;
        let metrics = aftercommit_platform_telemetry::install_metrics()
            .map_err(|error| StartupError::Application(error.to_string()))?;
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        let (opened, listener) = Box::pin(self.open_listening(settings)).await?;
        Box::pin(serve::until_stopped(opened, listener, metrics)).await
    }

    /// Runs with these settings inside a program with a `main` of its own, which keeps its logs, metrics and signals. The
    /// runtime this is called on runs the loops; call [`Served::stop`] before it ends.
    ///
    /// # Errors
    /// Why it cannot start. What was opened is closed again.
    pub async fn serve(self, settings: Settings, metrics: MetricsHandle) -> Result<Served, StartupError> {
        let (opened, listener) = Box::pin(self.open_listening(settings)).await?;
        Served::start(opened, listener, metrics).await
    }

    async fn open_listening(self, mut settings: Settings) -> Result<(Opened, TcpListener), StartupError> {
        #[cfg(feature = "failpoints")]
        crate::failpoints::arm(&settings)?;
        let foundation = Foundation::lay(&settings, Arc::clone(&self.source), Purpose::Run).await?;
        // The database comes first, because "in use by another process" says more than a taken address. The address
        // comes before the application, because links in e-mails begin with it and port 0 is known only now.
        let listener = match serve::listen(settings.http_addr).await {
            Ok((listener, bound)) => {
                settings.http_addr = bound;
                listener
            }
            Err(error) => {
                foundation.providers.close().await;
                return Err(error);
            }
        };
        Ok((self.build(settings, foundation, Purpose::Run).await?, listener))
    }

    /// Opens the database and checks the declaration. Nothing runs yet.
    ///
    /// # Errors
    /// Why it cannot start. What was opened is closed again.
    pub async fn open(self, settings: Settings) -> Result<Opened, StartupError> {
        let foundation = Foundation::lay(&settings, Arc::clone(&self.source), Purpose::Run).await?;
        self.build(settings, foundation, Purpose::Run).await
    }

    /// The same for commands of operators, which may meet the database of another application: tables that a server keeps
    /// are not brought to this version, and those of the application are not looked for.
    ///
    /// # Errors
    /// As [`open`](Self::open); tables of another version.
    pub async fn open_for_operators(self, settings: Settings) -> Result<Opened, StartupError> {
        let foundation = Foundation::lay(&settings, Arc::clone(&self.source), Purpose::Operate).await?;
        self.build(settings, foundation, Purpose::Operate).await
    }

    async fn build(
        mut self,
        settings: Settings,
        foundation: Foundation,
        purpose: Purpose,
    ) -> Result<Opened, StartupError> {
        let workflow_engine = match self.made_engine(&settings, purpose) {
            Ok(engine) => engine,
            Err(error) => {
                foundation.providers.close().await;
                return Err(error);
            }
        };
        let health = Health::new(Arc::clone(&foundation.system.clock));
        let kit = Kit {
            inner: Arc::new(KitParts {
                settings,
                system: foundation.system,
                envelopes: foundation.envelopes,
                publisher: Arc::new(CountedPublisher::new(Arc::clone(&foundation.providers.queue_publisher))),
                providers: foundation.providers,
                health,
                workflow_engine,
            }),
        };
        match self.declare(kit.clone(), purpose).await {
            Ok(opened) => Ok(opened),
            Err(error) => {
                kit.close().await;
                Err(error)
            }
        }
    }

    /// A process that works refuses an engine that it cannot reach for ever; others go on without.
    fn made_engine(
        &mut self,
        settings: &Settings,
        purpose: Purpose,
    ) -> Result<Option<Arc<dyn WorkflowEngine>>, StartupError> {
        let runs_topics = match &self.roles {
            Some(roles) => *roles != Roles::none(),
            None => settings.worker.roles.contains(&Role::Topics),
        };
        let works = purpose == Purpose::Run && runs_topics;
        match (&settings.temporal, self.workflow_engine.take()) {
            (Some(temporal), Some(make)) => make(temporal).map(Some),
            (Some(_), None) if works => Err(StartupError::NoWorkflowEngine),
            (Some(_) | None, _) => Ok(None),
        }
    }

    async fn declare(self, kit: Kit, purpose: Purpose) -> Result<Opened, StartupError> {
        for hook in self.on_start {
            hook(kit.clone())
                .await
                .map_err(|error| StartupError::Application(error.to_string()))?;
        }
        let mut topics = Vec::new();
        for make in self.topics {
            topics.extend(make(kit.clone()).await?);
        }
        let mut workflows = Workflows::new();
        for make in self.workflows {
            workflows = workflows.and(make(kit.clone()).await?);
        }
        let (registry, inputs) = workflows
            .registered(kit.envelopes().codec())
            .map_err(|error| StartError {
                problems: vec![error.to_string()],
            })?;
        let engine = kit.inner.workflow_engine.clone();
        let hosted = engine.clone().zip(registry).map(HostedWorkflows::from);
        let mut router = Router::new();
        if self.routers.is_empty() {
            router = router.fallback(http::not_found);
        }
        for make in self.routers {
            router = router.merge(make(kit.clone()).await?);
        }
        // A name that is none is refused by the engine, with a better message than here.
        let mut known: Vec<TopicName> = topics.iter().filter_map(|topic| topic.name().parse().ok()).collect();
        let runs_topics = !known.is_empty();
        known.extend([DOMAIN_EVENTS_TOPIC, WORKFLOW_REQUESTS_TOPIC]);
        // A process that runs no topics shares its environment with those that do.
        if runs_topics {
            let known: Vec<&str> = known.iter().map(TopicName::as_str).collect();
            kit.settings().topics.check(&known)?;
            // Commands of operators do not move anything, so that they keep no order.
            if purpose == Purpose::Run
                && let Some(amqp) = &kit.settings().amqp
            {
                amqp.check_topics(&known)?;
            }
        }
        // One that does nothing of the kind leaves requests to others.
        if let Some(engine) = engine.filter(|_| self.roles != Some(Roles::none())) {
            topics.push(workflow_requests_topic(engine.starter(), kit.units_of_work()));
        }
        let roles = match (self.roles, purpose) {
            (Some(roles), _) => roles,
            (None, Purpose::Run) => configured_roles(&kit.settings().worker)?,
            // Nothing runs, and the configured topics may be those of another application.
            (None, Purpose::Operate) => Roles::none(),
        };
        let shown_roles = ShownRoles::of(&roles);
        let (works_on_the_queue, relays) = (roles != Roles::none(), roles.relay);
        let mut options = engine_options(kit.settings(), roles, &known);
        options.scheduler.declared = declared_schedules(self.schedules)?;
        if kit.inner.providers.is_alone() {
            options.scheduler.grace = Duration::ZERO;
        }
        let routes = (self.routes)(kit.settings());
        let engine = Engine::new(kit.engine_ports(), options, &self.catalogue, routes, topics)?;
        kit.inner.publisher.declare(engine.topics_it_leads_to());
        if let Some(broker) = &kit.inner.providers.broker
            && purpose == Purpose::Run
        {
            providers::declare(&**broker, &engine.topics_it_leads_to()).await?;
        }
        let operations = Operations {
            works_on_the_queue,
            relays,
            seen_since: SeenSince::default(),
            kit: kit.clone(),
            catalogue: self.catalogue,
            routes: Arc::clone(engine.routes()),
            tasks: engine.task_inputs(),
            descriptors: Arc::new(engine.task_descriptors()),
            max_attempts: Arc::new(engine.max_attempts()),
            workflows: inputs,
        };
        Ok(Opened {
            kit,
            engine,
            hosted,
            operations,
            router,
            next_steps: self.next_steps,
            shown_roles,
        })
    }
}
