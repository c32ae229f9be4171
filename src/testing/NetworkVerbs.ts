/**
 * What a test does to a simulated network. Every verb acts at once, is written down in the history, and throws where it
 * names a host that nobody made. It owns nothing: what it does lasts until another verb undoes it.
 */
import { applied, type ConditionSettings } from "./Conditions.ts"
import { type Host, notice } from "./Host.ts"
import { type Medium, portKey } from "./Medium.ts"

/** Hosts and segments are meant by their names. `test/testing/Verbs.test.ts` has an example of each. */
export interface NetworkVerbs {
  /** Changes how a segment, or each one so far, treats what crosses it from now on. */
  readonly conditions: (settings: ConditionSettings, segment?: string) => void
  /**
   * From now on hosts in different groups cannot reach each other; hosts in no group stay together. Links live on,
   * and what was written waits, as under TCP: only silence tells.
   */
  readonly partition: (...groups: ReadonlyArray<ReadonlyArray<string>>) => void
  /** From now on nothing gets from these hosts to those, though it does the other way: as with a bad firewall. */
  readonly oneWay: (from: ReadonlyArray<string>, to: ReadonlyArray<string>) => void
  /** Undoes every partition and every `oneWay`: what waited arrives. */
  readonly heal: () => void
  /** Resets every link between two hosts, at both ends. */
  readonly cut: (one: string, other: string) => void
  /** Every link between two hosts goes silent in both directions for good, and nobody is told. */
  readonly halfOpen: (one: string, other: string) => void
  /** The machine vanishes, and all that ran on it: no goodbye, no reset. Close its nodes' scopes afterwards. */
  readonly kill: (host: string) => void
  /** The machine is back, with nothing running on it. Who still has a link to it gets a reset on the next byte. */
  readonly boot: (host: string) => void
  /** Gives a host a card on a segment, or plugs in the one it had. */
  readonly plug: (host: string, segment: string) => void
  /** Pulls that card out: nothing comes in or goes out by it, its addresses are gone, and links by it fall silent. */
  readonly unplug: (host: string, segment: string) => void
  /** Its card on this segment gets new addresses; links at the old ones fall silent, and nobody is told. */
  readonly renumber: (host: string, segment: string) => void
  /** Its processes stop as by SIGSTOP: the kernel still takes what fits its buffers, but nothing is read or written. */
  readonly freeze: (host: string) => void
  /** They go on, and notice all at once what they missed. */
  readonly thaw: (host: string) => void
  /** Something that is no node listens on that TCP port of the host. */
  readonly stranger: (host: string, port: number) => void
  /** Tells the processes of a host something, once they are not frozen. */
  readonly notice: (host: string, happened: () => void) => void
}

export const makeVerbs = (medium: Medium): NetworkVerbs => {
  const { history, topology } = medium
  const verb = (name: string, detail: string) => history.add("verb", name, "", undefined, detail)

  const known = (name: string): Host => {
    const host = topology.findHost(name)
    if (host === undefined) throw new Error(`no host is called "${name}". Make it first: network.host("${name}")`)
    return host
  }
  const linksBetween = (one: Host, other: Host) =>
    [...medium.links].filter(
      ({ places: [a, b] }) => (a.host === one && b.host === other) || (a.host === other && b.host === one)
    )
  const resumeAll = () => {
    for (const link of medium.links) link.resume()
  }

  return {
    conditions: (settings, segment) => {
      verb("conditions", JSON.stringify({ ...settings, segment }))
      for (const each of segment === undefined ? topology.segments : [topology.segment(segment)]) {
        each.conditions = applied(each.conditions, settings)
      }
    },
    partition: (...groups) => {
      for (const name of groups.flat()) known(name)
      verb("partition", groups.map((group) => group.join(" ")).join(" | "))
      topology.partition(groups)
    },
    oneWay: (from, to) => {
      for (const name of [...from, ...to]) known(name)
      verb("oneWay", `${from.join(" ")} | ${to.join(" ")}`)
      topology.oneWay(from, to)
    },
    heal: () => {
      verb("heal", "")
      topology.heal()
      resumeAll()
    },
    cut: (one, other) => {
      verb("cut", `${one} ${other}`)
      for (const link of linksBetween(known(one), known(other))) link.cut()
    },
    halfOpen: (one, other) => {
      verb("halfOpen", `${one} ${other}`)
      for (const link of linksBetween(known(one), known(other))) link.halfOpen()
    },
    kill: (name) => {
      verb("kill", name)
      const killed = known(name)
      killed.up = false
      killed.boot++
      killed.held = null
      for (const key of medium.listeners.keys()) if (key.startsWith(`${name}:`)) medium.listeners.delete(key)
      medium.sockets.get(killed)?.clear()
      for (const link of medium.links) link.lose(killed)
    },
    boot: (name) => {
      verb("boot", name)
      known(name).up = true
      resumeAll()
    },
    plug: (name, segment) => {
      verb("plug", `${name} ${segment}`)
      topology.plug(known(name), topology.segment(segment))
      resumeAll()
    },
    unplug: (name, segment) => {
      verb("unplug", `${name} ${segment}`)
      topology.unplug(known(name), topology.segment(segment))
    },
    renumber: (name, segment) => {
      verb("renumber", `${name} ${segment}`)
      topology.renumber(known(name), topology.segment(segment))
    },
    freeze: (name) => {
      verb("freeze", name)
      known(name).held ??= []
    },
    thaw: (name) => {
      verb("thaw", name)
      const host = known(name)
      const held = host.held ?? []
      host.held = null
      for (const happened of held) happened()
    },
    notice: (name, happened) => notice(known(name), happened),
    stranger: (name, port) => {
      verb("stranger", `${name} ${port}`)
      medium.listeners.set(portKey(known(name), port), { id: null, inbound: (_link, destroy) => destroy() })
    }
  }
}
