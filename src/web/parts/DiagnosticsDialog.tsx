/** What a check-up of the node finds, and what was announced and heard on each network. */
import { CircleAlert, CircleCheck, Info } from "lucide-react"
import { useEffect, useState } from "react"
import * as Effect from "effect/Effect"
import type { DiscoveryReport } from "../../schema/ApiNode.ts"
import type { Finding } from "../../schema/Finding.ts"
import { inert } from "../../schema/Text.ts"
import { useAsk } from "../state/useAsk.ts"
import { count } from "../text/format.ts"
import { Button } from "./Button.tsx"
import { Dialog } from "./Dialog.tsx"

type Report = typeof DiscoveryReport.Type

const looks = {
  ok: [CircleCheck, "text-accent", "In order"],
  note: [Info, "text-warn", "Worth knowing"],
  problem: [CircleAlert, "text-danger", "A problem"]
} as const

const rank = { problem: 0, note: 1, ok: 2 } as const

const Findings = ({ findings }: { readonly findings: ReadonlyArray<Finding> }) => (
  <ul className="divide-y divide-line rounded-card border border-line bg-raised">
    {findings
      .toSorted((a, b) => rank[a.severity] - rank[b.severity])
      .map((finding) => {
        const [Icon, look, word] = looks[finding.severity]
        return (
          <li key={`${finding.check} ${finding.subject} ${finding.text}`} className="flex gap-3 px-4 py-3">
            <Icon size={20} className={`mt-0.5 shrink-0 ${look}`} role="img" aria-label={word} />
            <div className="min-w-0">
              <p className="text-sm break-words text-muted">
                <span className="font-semibold text-ink">{inert(finding.check)}</span> {inert(finding.subject)}
              </p>
              <p className="break-words">{inert(finding.text)}</p>
              {finding.remedy !== null && (
                <p className="mt-0.5 text-sm break-words text-muted">{inert(finding.remedy)}</p>
              )}
            </div>
          </li>
        )
      })}
  </ul>
)

const Networks = ({ report }: { readonly report: Report }) => (
  <section className="mt-6">
    <h3 className="mb-2 text-sm font-semibold text-muted">Announced and heard</h3>
    {report.deaf !== null && (
      <p className="mb-2 rounded-xl bg-danger-soft px-4 py-3 text-danger">{inert(report.deaf)}</p>
    )}
    <ul className="grid gap-2 sm:grid-cols-2">
      {report.interfaces.map((network) => {
        const sent = network.sent.reduce((sum, { count }) => sum + count, 0)
        const failed = network.sent.find(({ error }) => error !== null)
        return (
          <li key={`${network.name} ${network.address}`} className="rounded-xl border border-line bg-raised px-4 py-3">
            <p className="font-medium">{inert(network.name)}</p>
            <p className="truncate font-mono text-xs text-muted">{inert(network.address)}</p>
            <p className="mt-1 text-sm tabular-nums">
              {count(sent)} sent, {count(network.heard)} heard
            </p>
            {failed !== undefined && <p className="text-sm break-words text-danger">{inert(failed.error ?? "")}</p>}
          </li>
        )
      })}
    </ul>
    {report.interfaces.length === 0 && (
      <p className="text-muted">This node neither announces itself nor listens for others.</p>
    )}
  </section>
)

export const DiagnosticsDialog = ({ onClose }: { readonly onClose: () => void }) => {
  const [findings, setFindings] = useState<ReadonlyArray<Finding> | null>(null)
  const [report, setReport] = useState<Report | null>(null)
  const { busy, problem, run } = useAsk()
  const look = () =>
    void run(
      (client) => Effect.all([client.doctor(), client.node.discovery()], { concurrency: 2 }),
      ([found, discovery]) => {
        setFindings(found)
        setReport(discovery)
      }
    )
  useEffect(look, [run])
  return (
    <Dialog
      title="How this node is"
      wide
      onClose={onClose}
      footer={
        <Button busy={busy} onClick={look}>
          Look again
        </Button>
      }
    >
      {problem !== null && (
        <p role="alert" className="text-danger">
          {problem}
        </p>
      )}
      {findings === null && problem === null && (
        <p role="status" className="breathe text-muted">
          Looking…
        </p>
      )}
      {findings !== null && <Findings findings={findings} />}
      {report !== null && <Networks report={report} />}
    </Dialog>
  )
}
