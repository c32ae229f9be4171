/** What a check-up concludes, and that it claims no more than the facts say. */
import { assert, describe, it } from "@effect/vitest"
import { diagnoseNode, type NodeFacts } from "../../src/services/Doctor.ts"
import { diagnoseInterfaces, type InterfaceFacts, kindOf } from "../../src/services/doctor/DoctorInterfaces.ts"
import { diagnoseMachine, type MachineFacts, type PlaceFacts } from "../../src/services/doctor/DoctorMachine.ts"
import type { Finding } from "../../src/schema/Finding.ts"

const eth0: InterfaceFacts = {
  name: "eth0",
  address: "192.0.2.1",
  sent: [{ to: "192.0.2.255", count: 5, error: null }],
  heard: 8,
  answered: 2,
  kind: "ordinary",
  isIpv6Only: false
}

const node: NodeFacts = {
  uptimeSeconds: 60,
  port: 9090,
  wantedPort: 9090,
  discoveryPort: 9090,
  isDiscovering: true,
  deaf: null,
  interfaces: [eth0],
  unreached: []
}

const machine: MachineFacts = {
  runtime: "26.10.0",
  isRuntimeOld: false,
  now: Date.UTC(2026, 1, 1),
  places: [],
  ports: []
}

const place: PlaceFacts = {
  what: "data directory",
  path: "/data",
  problem: null,
  mode: "700",
  freeBytes: 2 ** 40,
  freeFiles: 2 ** 20
}

/** Those that are not as they should be, as `severity check subject: text`. */
const wrong = (findings: ReadonlyArray<Finding>) =>
  findings
    .filter(({ severity }) => severity !== "ok")
    .map(({ check, severity, subject, text }) => `${severity} ${check} ${subject}: ${text}`)

const ofInterface = (change: Partial<InterfaceFacts>, facts: Partial<NodeFacts> = {}) =>
  diagnoseNode({ ...node, ...facts, interfaces: [{ ...eth0, ...change }] }).find(({ check }) => check === "interface")

describe("a check-up", () => {
  it("finds nothing wrong where nothing is", () => {
    assert.deepStrictEqual(wrong(diagnoseNode(node)), [])
    assert.deepStrictEqual(wrong(diagnoseMachine({ ...machine, places: [place] })), [])
    for (const finding of diagnoseNode(node)) assert.isNull(finding.remedy)
  })

  it("gives every problem a line of what to do", () => {
    const problems = ["noDirectory", "unreadable", "unwritable", "exposed"] as const
    const whats = ["data directory", "key", "control file", "receive folder"] as const
    const places = problems.flatMap((problem) => whats.map((what): PlaceFacts => ({ ...place, what, problem })))
    const findings = [
      ...diagnoseMachine({ ...machine, isRuntimeOld: true, now: 0, places }),
      ...diagnoseMachine({
        ...machine,
        places: [
          { ...place, freeBytes: 1 },
          { ...place, freeFiles: 3 }
        ]
      }),
      ...diagnoseNode({
        ...node,
        port: 4000,
        deaf: "EADDRINUSE",
        interfaces: [],
        unreached: [{ name: "bob", address: "192.0.2.2:9090", seconds: 30 }]
      })
    ]
    for (const finding of findings) {
      assert.notInclude(finding.text, "\n")
      if (finding.severity === "problem") assert.isNotEmpty(finding.remedy ?? "", finding.text)
    }
    assert.isAbove(findings.filter(({ severity }) => severity === "problem").length, 15)
  })

  it("suspects a firewall here only where answers come and announcements do not", () => {
    const heardOnlyAnswers = ofInterface({ heard: 3, answered: 3 })
    assert.strictEqual(heardOnlyAnswers?.severity, "problem")
    assert.include(heardOnlyAnswers?.remedy, "allow incoming UDP port 9090")
    // Too early to tell: announcements come every five seconds.
    assert.strictEqual(ofInterface({ heard: 3, answered: 3 }, { uptimeSeconds: 5 })?.severity, "ok")
    assert.strictEqual(ofInterface({ heard: 3, answered: 2 })?.severity, "ok")
    // Nobody may be there at all.
    const silence = ofInterface({ heard: 0, answered: 0 })
    assert.strictEqual(silence?.severity, "note")
    assert.match(silence?.remedy ?? "", /^If a node runs on this network/)
  })

  it("tells what was refused, and by whom", () => {
    const refused = (error: string, count = 0) =>
      ofInterface({ heard: 0, answered: 0, sent: [{ to: "192.0.2.255", count, error }] })
    assert.include(refused("broadcast failed (EPERM)"), { severity: "problem" })
    assert.include(refused("broadcast failed (EPERM)")?.remedy, "allow outgoing UDP to port 9090")
    assert.include(refused("broadcast failed (ENETUNREACH)")?.remedy, "no network now")
    assert.include(refused("broadcast failed (ENETUNREACH)", 5), { severity: "note" })
    const partly = ofInterface({ sent: [...eth0.sent, { to: "239.255.90.90", count: 0, error: "no multicast" }] })
    assert.include(partly, { severity: "ok", text: "announced 5 times, heard 8 announcements of others; no multicast" })
  })

  it("names VPNs, virtual networks and those with IPv6 only as such", () => {
    const names = {
      vpn: ["tun0", "wg0", "utun3", "tailscale0", "ppp0", "zt5u4", "nordlynx"],
      virtual: ["docker0", "br-1f2e3d", "veth12ab", "virbr0", "vmnet8", "vboxnet0", "cni0"],
      ordinary: ["eth0", "enp3s0", "wlan0", "wlp2s0", "en0", "Ethernet", "Wi-Fi"]
    }
    const plain = { isLoopback: false, isPointToPoint: false, isTunnel: false }
    for (const [kind, all] of Object.entries(names)) {
      for (const name of all) assert.strictEqual(kindOf({ ...plain, name }), kind, name)
    }
    assert.strictEqual(kindOf({ ...plain, name: "corp", isTunnel: true }), "vpn")
    assert.strictEqual(kindOf({ ...plain, name: "corp", isPointToPoint: true }), "vpn")
    assert.strictEqual(kindOf({ ...plain, name: "lo", isLoopback: true }), "loopback")
    const silent = { heard: 0, answered: 0 }
    assert.include(ofInterface({ ...silent, kind: "vpn" })?.text, "VPN or tunnel, announced")
    assert.include(ofInterface({ ...silent, kind: "vpn" })?.remedy, "kith add HOST:PORT")
    assert.include(ofInterface({ ...silent, kind: "virtual" }), { severity: "ok", remedy: null })
    assert.include(ofInterface({ isIpv6Only: true })?.text, "IPv6 only, announced")
    const [alone] = diagnoseInterfaces(
      [{ ...eth0, kind: "vpn", sent: [{ to: "socket", count: 0, error: "x (ENODEV)" }] }],
      1
    )
    assert.include(alone, { severity: "note", text: "VPN or tunnel, nothing can be sent: x (ENODEV)" })
  })

  it("says what ports, discovery and unreachable peers mean", () => {
    assert.deepStrictEqual(wrong(diagnoseNode({ ...node, port: 4000 })), [
      "note port TCP 4000: is listened on, since 9090 was taken by another program"
    ])
    assert.deepStrictEqual(wrong(diagnoseNode({ ...node, port: 4000, wantedPort: 0 })), [])
    assert.deepStrictEqual(wrong(diagnoseNode({ ...node, isDiscovering: false, interfaces: [] })), [
      "note discovery : is off: nobody is found, and nobody finds this node"
    ])
    assert.deepStrictEqual(
      wrong(diagnoseNode({ ...node, unreached: [{ name: "bob", address: "192.0.2.2:9090", seconds: 31.4 }] })),
      ["problem peer bob: is heard at 192.0.2.2:9090, but no connection comes about for 31 s"]
    )
    const ports = [
      { what: "TCP", port: 9090, flag: "--port", code: "EADDRINUSE" },
      { what: "TCP", port: 80, flag: "--port", code: "EACCES" },
      { what: "UDP", port: 9090, flag: "--discovery-port", code: "EADDRINUSE" }
    ] as const
    assert.deepStrictEqual(wrong(diagnoseMachine({ ...machine, ports })), [
      "note port TCP 9090: is taken by another program",
      "problem port TCP 80: cannot be had (EACCES)",
      "problem port UDP 9090: is taken by another program"
    ])
  })
})
