//! Turns events into lines and writes them.

use crate::{fields::Fields, line::Line, logs::LogFormat};
use std::io::Write as _;
use tracing::{
    Event, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    fmt::{
        MakeWriter,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

/// Writes each event as one line to what `W` makes.
pub(crate) struct LineLayer<W, T = SystemTime> {
    format: LogFormat,
    ansi: bool,
    writer: W,
    time: T,
}

impl<W> LineLayer<W> {
    pub(crate) fn new(format: LogFormat, ansi: bool, writer: W) -> Self {
        Self {
            format,
            ansi,
            writer,
            time: SystemTime,
        }
    }
}

#[cfg(test)]
impl<W, T> LineLayer<W, T> {
    pub(crate) fn with_time<U>(self, time: U) -> LineLayer<W, U> {
        LineLayer {
            format: self.format,
            ansi: self.ansi,
            writer: self.writer,
            time,
        }
    }
}

impl<S, W, T> Layer<S> for LineLayer<W, T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
    T: FormatTime + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().replace(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.take("message");
        let innermost = context.event_span(event);
        if let Some(span) = &innermost {
            for span in span.scope() {
                if let Some(outer) = span.extensions().get::<Fields>() {
                    fields.add_outer(outer);
                }
            }
        }
        let mut timestamp = String::new();
        let timed = self.time.format_time(&mut Writer::new(&mut timestamp));
        let line = Line {
            timestamp: if timed.is_ok() { &timestamp } else { "-" },
            level: *event.metadata().level(),
            target: event.metadata().target(),
            span: innermost.as_ref().map(SpanRef::name),
            message,
            fields: &fields,
        };
        if let Ok(line) = line.render(self.format, self.ansi) {
            // One write per line keeps lines of several threads apart. When nobody reads the log any more, that is no
            // reason to stop working.
            let _ = self.writer.make_writer_for(event.metadata()).write_all(line.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
