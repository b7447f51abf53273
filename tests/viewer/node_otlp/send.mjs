// Sends a tree of spans by one of the exporters; prints what was sent, and the results.
import { SpanKind, SpanStatusCode, context, trace } from "@opentelemetry/api";
import { OTLPTraceExporter as Grpc } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as Json } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as Proto } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const [kind, url, compression] = process.argv.slice(2);
const Exporter = { json: Json, protobuf: Proto, grpc: Grpc }[kind];
const exporter = new Exporter({ url, compression });
const results = [];
const inner = exporter.export.bind(exporter);
exporter.export = (spans, done) =>
  inner(spans, (result) => {
    results.push(result.error ? String(result.error) : result.code);
    done(result);
  });

const provider = new BasicTracerProvider({
  resource: resourceFromAttributes({ "service.name": "node", "process.list": [1, 2] }),
  spanProcessors: [new BatchSpanProcessor(exporter, { maxExportBatchSize: 40 })],
});
const tracer = provider.getTracer("tests", "1.2");
const root = tracer.startSpan("root 😀", {
  kind: SpanKind.SERVER,
  attributes: { int: 7, float: 0.5, yes: true, list: ["a", "b"], half: "x\ud800y" },
});
const below = trace.setSpan(context.active(), root);
for (let i = 0; i < 99; i++) {
  const span = tracer.startSpan(`child ${i}`, { links: [{ context: root.spanContext() }] }, below);
  span.addEvent("event", { n: i });
  if (i % 10 === 0) span.setStatus({ code: SpanStatusCode.ERROR, message: "wrong" });
  span.end();
}
root.end();
await provider.forceFlush();
await provider.shutdown();
console.log(JSON.stringify({ traceId: root.spanContext().traceId, results }));
