/** Which link two machines keep, when a peer is dialled and when it is left alone. */
import { assert, describe, it } from "@effect/vitest"
import { type Address, format, tcp } from "../../src/schema/Address.ts"
import { Instance } from "../../src/schema/Id.ts"
import { base32 } from "../../src/schema/PeerId.ts"
import * as Candidates from "../../src/actors/peers/Candidates.ts"
import * as PeerState from "../../src/actors/peers/PeerState.ts"
import { SimulatedRandom } from "../../src/testing/SimulatedRandom.ts"
import { ids, PeerPair } from "./PeerPair.ts"

const [smaller, larger] = ids
const home = tcp("192.0.2.1", 9090)
const away = tcp("192.0.2.9", 9090)
const instance = (n: number) => Instance.make(base32(new Uint8Array(16).fill(n)))

/** A machine that is driven by hand, with all its actions so far. */
const machine = (
  options: { readonly isSmaller?: boolean; readonly wanted?: boolean; readonly addresses?: Array<Address> } = {}
) => {
  const [self, peer] = options.isSmaller === false ? [larger, smaller] : [smaller, larger]
  let state = PeerState.initial({ self, peer, wanted: options.wanted ?? false, addresses: options.addresses ?? [] })
  return {
    get state() {
      return state
    },
    tell: (message: PeerState.PeerMessage, now = 0) => {
      const [next, actions] = PeerState.transition(state, message, now)
      state = next
      return actions.map((action) => ("link" in action ? `${action._tag} ${action.link}` : action._tag))
    }
  }
}

const established = (link: number, side: "dialled" | "accepted", from = 1): PeerState.PeerMessage => ({
  _tag: "Established",
  link,
  side,
  instance: instance(from),
  address: home
})

const over = (link: number, reason: string): PeerState.PeerMessage => ({ _tag: "Over", link, reason })

/** Plays the pair to its end, always choosing what `choose` says. */
const play = (pair: PeerPair, choose: (count: number) => number, faults = 0) => {
  let troubles = faults
  for (let steps = 0; steps < 2000; steps++) {
    const events = pair.events().filter((event) => !event.isFault || troubles > 0)
    if (events.every((event) => event.isFault)) return
    const event = events[choose(events.length)]
    if (event?.isFault === true) troubles--
    event?.happen()
  }
  throw new Error("it does not come to an end")
}

const agrees = (pair: PeerPair) => {
  const sessions = [pair.session(0), pair.session(1)]
  if (sessions[0] === undefined || sessions[0] !== sessions[1]) {
    throw new Error(`the sides have ${sessions.join(" and ")}:\n${pair.log.join("\n")}`)
  }
  return sessions[0]
}

/**
 * Every order of the first events of this pair, and one of those after; how many there are, and the most sessions
 * that were begun in one.
 */
const explore = (make: () => PeerPair, faults = 0, deep = 100) => {
  let orders = 0
  let sessions = 0
  const paths: Array<ReadonlyArray<number>> = [[]]
  for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
    const pair = make()
    const counts: Array<number> = []
    const taken = path
    play(pair, (count) => (counts.push(count), taken[counts.length - 1] ?? 0), faults)
    orders++
    agrees(pair)
    sessions = Math.max(sessions, pair.log.filter((line) => line.includes("Adopt")).length)
    for (let depth = path.length; depth < Math.min(deep, counts.length); depth++) {
      const start = [...path, ...Array.from({ length: depth - path.length }, () => 0)]
      for (let choice = 1; choice < (counts[depth] ?? 0); choice++) paths.push([...start, choice])
    }
  }
  return { orders, sessions }
}

describe("two machines", () => {
  it("keep one and the same link of two crossed dials, in every order of events", () => {
    // Two sessions: one at each side. Nobody hears of one that is then taken back.
    assert.deepStrictEqual(
      explore(() => new PeerPair()),
      { orders: 30, sessions: 2 }
    )
  })

  it("do so when a person dials at the same moment, and when one thing breaks", () => {
    for (const side of [0, 1] as const) {
      const add = () => {
        const pair = new PeerPair()
        pair.add(side)
        return pair
      }
      assert.isAbove(explore(add, 0, 9).orders, 1000)
    }
    assert.isAbove(explore(() => new PeerPair(), 1, 9).orders, 1000)
  })

  it("keep one and the same link whatever breaks meanwhile", () => {
    for (let seed = 0; seed < 20_000; seed++) {
      const random = SimulatedRandom.make(seed)
      const pick = (count: number) => Math.floor(random.next() * count)
      const pair = new PeerPair([true, random.next() < 0.7])
      try {
        for (let dials = pick(3); dials > 0; dials--) pair.add(pick(2) === 0 ? 0 : 1)
        play(pair, pick, pick(6))
        agrees(pair)
        assert.strictEqual(pair.alarms, 0)
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}\n${pair.log.join("\n")}`, { cause: error })
      }
    }
  })
})

describe("arbitration", () => {
  it("of crossed dials of the same instances keeps the one by the smaller id", () => {
    const one = machine({ isSmaller: true })
    one.tell(established(1, "accepted"))
    assert.deepStrictEqual(one.tell(established(2, "dialled")), ["Adopt 2", "Close 1"])
    assert.deepStrictEqual(one.tell(established(3, "accepted")), ["Close 3", "Probe 2"])
    const other = machine({ isSmaller: false })
    other.tell(established(1, "dialled"))
    assert.deepStrictEqual(other.tell(established(2, "accepted")), ["Adopt 2", "Close 1"])
    assert.deepStrictEqual(other.tell(established(3, "dialled")), ["Close 3", "Probe 2"])
  })

  it("puts off an inbound link while the own, winning Hello is out, and takes it if that comes to nothing", () => {
    for (const isAnswered of [true, false]) {
      const one = machine({ wanted: true, addresses: [home] })
      assert.deepStrictEqual(one.tell({ _tag: "Wanted", address: null }), ["Dial -1"])
      assert.deepStrictEqual(one.tell({ _tag: "Reached", link: -1 }), ["Greet -1"])
      assert.deepStrictEqual(one.tell(established(1, "accepted")), [])
      assert.deepStrictEqual(
        isAnswered ? one.tell(established(-1, "dialled")) : one.tell(over(-1, "closed")),
        isAnswered ? ["Adopt -1", "Close 1"] : ["Adopt 1"]
      )
    }
  })

  it("lets the newest of one dialler win, and that of another instance, who is told that it was replaced", () => {
    const one = machine()
    one.tell(established(1, "accepted"))
    assert.deepStrictEqual(one.tell(established(2, "accepted")), ["Adopt 2", "Close 1"])
    const [, actions] = PeerState.transition(one.state, established(3, "dialled", 9), 0)
    assert.deepStrictEqual(actions, [
      { _tag: "Adopt", link: 3 },
      { _tag: "Close", link: 2, reason: "replaced" }
    ])
  })

  it("takes a Hello long after the session began as a sign that the peer has lost it", () => {
    const one = machine()
    one.tell(established(1, "dialled"), 0)
    assert.deepStrictEqual(one.tell(established(2, "accepted"), 9_999), ["Close 2", "Probe 1"])
    assert.deepStrictEqual(one.tell(established(3, "accepted"), 10_000), ["Adopt 3", "Close 1"])
  })

  it("says Hello on one dialled link at a time, and on none while there is a session", () => {
    const one = machine()
    assert.deepStrictEqual(one.tell({ _tag: "Reached", link: 1 }), ["Greet 1"])
    assert.deepStrictEqual(one.tell({ _tag: "Reached", link: 2 }), [])
    assert.deepStrictEqual(one.tell({ _tag: "Reached", link: 3 }), [])
    assert.deepStrictEqual(one.tell(over(1, "closed")), ["Greet 2"])
    assert.deepStrictEqual(one.tell(established(2, "dialled")), ["Adopt 2", "Drop 3"])
    assert.deepStrictEqual(one.tell({ _tag: "Reached", link: 4 }), ["Drop 4"])
  })
})

describe("dialling", () => {
  it("waits longer after each failure, and begins anew after a session that lasted", () => {
    const one = machine()
    const attempt = () => one.state.failures
    assert.deepStrictEqual(one.tell({ _tag: "Suggested", address: home }), ["Dial -1"])
    for (let failure = 1; failure <= 5; failure++) {
      assert.deepStrictEqual(one.tell(over(-failure, "refused")), ["Wait"])
      assert.strictEqual(attempt(), failure)
      assert.deepStrictEqual(one.tell({ _tag: "Retry" }), [`Dial ${-failure - 1}`])
    }
    one.tell(established(-6, "dialled"), 0)
    assert.deepStrictEqual(one.tell(over(-6, "closed"), 9_999), ["Wait"])
    assert.strictEqual(attempt(), 6)
    one.tell({ _tag: "Retry" })
    one.tell(established(-7, "dialled"), 10_000)
    assert.deepStrictEqual(one.tell(over(-7, "closed"), 20_000), ["Wait"])
    assert.strictEqual(attempt(), 0)
    assert.deepStrictEqual(
      [0, 1, 2, 3, 8, 9, 99].map((attempt) => PeerState.backoff(attempt, 200, 30_000)),
      [200, 200, 400, 800, 25_600, 30_000, 30_000]
    )
  })

  it("is cut short by a suggestion, once a second, and at once by a person", () => {
    const one = machine()
    one.tell({ _tag: "Suggested", address: home })
    one.tell(over(-1, "refused"), 0)
    assert.deepStrictEqual(one.tell({ _tag: "Suggested", address: home }, 5), ["StopWaiting", "Dial -2"])
    one.tell(over(-2, "refused"), 10)
    assert.deepStrictEqual(one.tell({ _tag: "Suggested", address: home }, 1004), [])
    assert.deepStrictEqual(one.tell({ _tag: "Suggested", address: home }, 1005), ["StopWaiting", "Dial -3"])
    one.tell(over(-3, "refused"), 1010)
    assert.deepStrictEqual(one.tell({ _tag: "Wanted", address: null }, 1011), ["StopWaiting", "Dial -4"])
  })

  it("is not done for a peer that nobody wants, nor earns a duplicate a longer wait", () => {
    const one = machine()
    one.tell(established(1, "accepted"))
    assert.deepStrictEqual(one.tell(over(1, "closed")), [])
    assert.strictEqual(PeerState.shown(one.state), "away")
    one.tell({ _tag: "Suggested", address: home })
    const before = one.state.failures
    assert.deepStrictEqual(one.tell(over(-1, "duplicate")), ["Wait"])
    assert.strictEqual(one.state.failures, before)
  })

  it("is called off before its Hello when the peer comes by itself", () => {
    const one = machine()
    one.tell({ _tag: "Suggested", address: home })
    assert.deepStrictEqual(one.tell(established(1, "accepted")), ["Adopt 1", "CancelDial -1"])
    assert.deepStrictEqual(one.tell(over(-1, "dropped")), [])
    assert.strictEqual(PeerState.shown(one.state), "connected")
  })

  it("ends when the peer removed us, until a person acts or it comes back", () => {
    for (const reason of ["removed", "blocked", "replaced"]) {
      const one = machine()
      one.tell({ _tag: "Suggested", address: home })
      one.tell({ _tag: "Reached", link: -1 })
      one.tell(established(-1, "dialled"))
      assert.deepStrictEqual(one.tell(over(-1, reason)), reason === "replaced" ? ["Alarm"] : [])
      assert.deepStrictEqual(one.tell({ _tag: "Suggested", address: home }, 99_999), [])
      assert.strictEqual(PeerState.shown(one.state), "away")
      assert.deepStrictEqual(one.tell({ _tag: "Wanted", address: null }), ["Dial -2"])
      one.tell(over(-2, reason))
      one.tell(established(1, "accepted"))
      assert.deepStrictEqual(one.tell(over(1, "closed")), ["Wait"])
    }
  })

  it("stops for good: everything is closed, and whatever comes is turned away", () => {
    const one = machine()
    one.tell({ _tag: "Suggested", address: home })
    one.tell({ _tag: "Reached", link: -1 })
    one.tell(established(1, "accepted"))
    assert.deepStrictEqual(one.tell({ _tag: "Stop", reason: "removed" }), ["Close 1", "CancelDial -1"])
    assert.deepStrictEqual(one.tell(established(2, "accepted")), ["Close 2"])
    assert.deepStrictEqual(one.tell({ _tag: "Reached", link: 3 }), ["Drop 3"])
    assert.deepStrictEqual(one.tell({ _tag: "Suggested", address: home }), [])
  })
})

describe("doubt", () => {
  /** A session that this machine dialled, long ago. */
  const connected = () => {
    const one = machine({ isSmaller: false })
    one.tell({ _tag: "Suggested", address: home })
    one.tell({ _tag: "Reached", link: -1 })
    one.tell(established(-1, "dialled"))
    return one
  }
  const doubtful: PeerState.PeerMessage = { _tag: "Doubtful", link: -1 }

  it("begins when the peer is heard elsewhere and does not answer, and then that place is tried first", () => {
    const one = connected()
    assert.deepStrictEqual(one.tell({ _tag: "Suggested", address: home }), [])
    assert.deepStrictEqual(one.tell({ _tag: "Suggested", address: away }), ["Probe -1"])
    assert.deepStrictEqual(one.tell({ _tag: "Suggested", address: away }), [])
    assert.deepStrictEqual(PeerState.addresses(one.state), [home, away])
    assert.deepStrictEqual(one.tell({ _tag: "Doubtful", link: 7 }), [], "of another link")
    assert.deepStrictEqual(one.tell(doubtful), ["Listen -1", "Dial -2"])
    assert.deepStrictEqual(PeerState.addresses(one.state), [away, home])
    assert.strictEqual(PeerState.shown(one.state), "connected")
    assert.deepStrictEqual(one.tell({ _tag: "Reached", link: -2 }), ["Greet -2"])
    assert.deepStrictEqual(one.tell(established(-2, "dialled")), ["Adopt -2", "Close -1"])
  })

  it("takes what the peer dials, however young the session is", () => {
    const one = machine({ isSmaller: true, wanted: true })
    one.tell(established(1, "dialled"))
    one.tell({ _tag: "Doubtful", link: 1 })
    assert.deepStrictEqual(one.tell(established(2, "accepted")), ["Adopt 2", "Close 1", "CancelDial -1"])
  })

  it("is dialled again and again with growing waits, until the session answers or is given up", () => {
    const one = connected()
    one.tell(doubtful)
    for (let failure = 1; failure <= 3; failure++) {
      assert.deepStrictEqual(one.tell(over(-failure - 1, "unreachable")), ["Wait"])
      assert.strictEqual(one.state.failures, failure)
      assert.strictEqual(PeerState.shown(one.state), "connected")
      assert.deepStrictEqual(one.tell({ _tag: "Retry" }), [`Dial ${-failure - 2}`])
    }
    assert.deepStrictEqual(one.tell({ _tag: "Answered", link: -1 }), ["CancelDial -5"])
    assert.deepStrictEqual(one.tell(over(-5, "dropped")), [])
    one.tell(doubtful)
    one.tell(over(-6, "unreachable"))
    assert.deepStrictEqual(one.tell({ _tag: "Answered", link: -1 }), ["StopWaiting"])
    one.tell(doubtful)
    one.tell(over(-7, "unreachable"))
    assert.deepStrictEqual(one.tell(over(-1, "silent"), 20_000), [])
    assert.strictEqual(PeerState.shown(one.state), "away")
    assert.deepStrictEqual(one.tell({ _tag: "Retry" }), ["Dial -8"])
  })

  it("does not end while our Hello is out: the other side may have chosen that link", () => {
    const one = connected()
    one.tell(doubtful)
    one.tell({ _tag: "Reached", link: -2 })
    assert.deepStrictEqual(one.tell({ _tag: "Answered", link: -1 }), ["Listen -1"])
    assert.deepStrictEqual(one.tell(established(-2, "dialled")), ["Adopt -2", "Close -1"])
  })
})

describe("what is shown", () => {
  it("is discovered, connecting, connected or away", () => {
    const one = machine()
    assert.strictEqual(PeerState.shown(one.state), "discovered")
    one.tell({ _tag: "Suggested", address: home })
    assert.strictEqual(PeerState.shown(one.state), "connecting")
    one.tell(over(-1, "refused"))
    assert.strictEqual(PeerState.shown(one.state), "away")
    // Another dial of a peer that did not answer is no news.
    one.tell({ _tag: "Retry" })
    assert.strictEqual(PeerState.shown(one.state), "away")
    one.tell({ _tag: "Wanted", address: null })
    assert.strictEqual(PeerState.shown(one.state), "connecting")
  })
})

describe("candidate addresses", () => {
  it("begin with the newest word, then what has worked, and hearsay never pushes that out", () => {
    let candidates = Candidates.prove(Candidates.noCandidates, home)
    for (let n = 0; n < 100; n++) candidates = Candidates.hear(candidates, tcp(`198.51.100.${n}`, 9090))
    const all = Candidates.list(candidates).map(format)
    assert.isAtMost(all.length, 16)
    assert.deepStrictEqual(all.slice(0, 3), ["198.51.100.99:9090", "192.0.2.1:9090", "198.51.100.98:9090"])
    candidates = Candidates.prove(candidates, away)
    assert.deepStrictEqual(Candidates.list(candidates).slice(0, 2).map(format), [format(away), format(home)])
    assert.strictEqual(new Set(Candidates.list(candidates).map(format)).size, Candidates.list(candidates).length)
  })
})
