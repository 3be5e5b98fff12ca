// The proxy's one thread: sockets by epoll, edge-triggered, so that their state is kept here and never asked for twice.
// The delay is the same for all bytes, so they become due in the order in which they came: one queue for all connections, and
// one timer that is set to its head.

import CEpoll
import Diagnostics
import Glibc
import Measurement
import Synchronization
import Threads

/// Owned by the thread that calls `run`; others see `Shared` only.
final class ProxyLoop: @unchecked Sendable {
    /// What crosses threads.
    final class Shared: Sendable {
        let connectionCount = Atomic<Int>(0)
        let bytesToServer = Atomic<Int64>(0)
        let bytesFromServer = Atomic<Int64>(0)
        private let stopFlag = StopFlag()
        /// Wakes the loop; closed with the last reference.
        fileprivate let wake = eventfd(0, O_CLOEXEC | O_NONBLOCK)
        /// The CPU clock of the thread while it runs, what it showed at last afterwards.
        private let clock = Mutex<(id: clockid_t?, lastNs: Int64)>((nil, 0))
        /// Handed over once, when the loop ends.
        private let lateness = Mutex<Histogram?>(nil)

        deinit { if wake >= 0 { Glibc.close(wake) } }

        var isStopped: Bool { stopFlag.isSet }

        func stop() {
            stopFlag.set()
            var one: UInt64 = 1
            _ = Glibc.write(wake, &one, 8)
        }

        var cpuTimeNs: Int64 { clock.withLock { state in state.id.map(nanoseconds) ?? state.lastNs } }

        /// Nil while the loop runs, and if no bytes were passed on.
        var latenessP99Ns: Int64? {
            lateness.withLock { $0.flatMap { $0.count == 0 ? nil : $0.percentile(99) } }
        }

        fileprivate func count(_ size: Int, isToServer: Bool) {
            if isToServer {
                bytesToServer.add(Int64(size), ordering: .relaxed)
            } else {
                bytesFromServer.add(Int64(size), ordering: .relaxed)
            }
        }

        fileprivate func beginCounting() {
            var id = clockid_t()
            if pthread_getcpuclockid(pthread_self(), &id) == 0 { clock.withLock { $0.id = id } }
        }

        fileprivate func endCounting(_ lateness: Histogram) {
            clock.withLock { state in
                state.lastNs = state.id.map(nanoseconds) ?? 0
                state.id = nil
            }
            self.lateness.withLock { $0 = lateness }
        }
    }

    /// One direction of a connection.
    final class Lane {
        let source: Int32
        let sink: Int32
        let isToServer: Bool
        var ring = ByteRing(capacityMax: RoundTripProxy.bytesOnTheWayMax)
        /// Bytes in the ring whose time has come.
        var dueCount = 0
        /// What the kernel said last; false until it says otherwise.
        var mayRead = false
        var mayWrite = false
        /// The source's peer is gone: read on until the end shows.
        var isHangingUp = false
        /// Nothing more comes in.
        var hasEnded = false
        /// The end has come to the other side, behind the last byte.
        var isEndDue = false
        /// The sink takes nothing more: what still comes is dropped, while the other direction may have a last word.
        var isBroken = false
        var isDone = false

        init(from source: Int32, to sink: Int32, isToServer: Bool) {
            (self.source, self.sink, self.isToServer) = (source, sink, isToServer)
        }
    }

    /// A client's connection and the one to the server.
    final class Link {
        let id: UInt64
        let toServer: Lane
        let toClient: Lane
        var isClosed = false

        init(id: UInt64, client: Int32, server: Int32) {
            self.id = id
            toServer = Lane(from: client, to: server, isToServer: true)
            toClient = Lane(from: server, to: client, isToServer: false)
        }
    }

    private enum Item {
        case bytes(Int)
        case end
        /// The connection is cut, whatever is still on the way.
        case reset
    }

    private static let listenerTag = UInt64.max
    private static let wakeTag = UInt64.max - 1
    private static let timerTag = UInt64.max - 2
    /// Read from one socket before the others have their turn.
    private static let readsPerTurn = 16

    private let target: SocketAddress
    private let delayNs: Int64
    private let shared: Shared
    private let poll: Int32
    private let listener: Int32
    private let timer: Int32
    private var timerIsSetTo: Int64 = 0
    private var links: [UInt64: Link] = [:]
    private var nextID: UInt64 = 0
    private var queue: [(dueNs: Int64, link: Link, lane: Lane, item: Item)] = []
    private var queueStart = 0
    /// Sockets that had more than their turn allowed.
    private var unfinished: [(link: Link, lane: Lane)] = []
    private var isAccepting = true
    /// By how much later than asked bytes were passed on.
    private var lateness = Histogram()

    init(listeningAt path: String, target: SocketAddress, delayNs: Int64, shared: Shared) throws(OperatingError) {
        self.target = target
        self.delayNs = delayNs
        self.shared = shared
        poll = epoll_create1(O_CLOEXEC)
        listener = Self.makeSocket(AF_UNIX)
        timer = timerfd_create(CLOCK_MONOTONIC, O_CLOEXEC | O_NONBLOCK)
        guard poll >= 0, listener >= 0, timer >= 0, shared.wake >= 0 else {
            throw .system("make the proxy's descriptors")
        }
        let own = try SocketAddress.unix(path: path)
        guard own.with({ bind(listener, $0, $1) }) == 0, listen(listener, 512) == 0 else {
            throw .system("listen at \(path)")
        }
        let edge = EPOLLET
        guard watch(listener, EPOLLIN, tag: Self.listenerTag),
            watch(shared.wake, EPOLLIN | edge, tag: Self.wakeTag),
            watch(timer, EPOLLIN | edge, tag: Self.timerTag)
        else { throw .system("watch the proxy's descriptors") }
    }

    deinit { for descriptor in [poll, listener, timer] where descriptor >= 0 { Glibc.close(descriptor) } }

    /// Serves until it is told to stop, and cuts what is still connected.
    func run() {
        shared.beginCounting()
        Self.takePrecedence()
        var events = [epoll_event](repeating: epoll_event(), count: 64)
        while !shared.isStopped {
            releaseWhatIsDue()
            finishTurns()
            let count = epoll_wait(poll, &events, Int32(events.count), unfinished.isEmpty ? setTimer() : 0)
            for event in events.prefix(Int(max(0, count))) { handle(event) }
        }
        for link in links.values { close(link) }
        shared.endCounting(lateness)
    }

    /// A network doesn't wait for the processors of those that use it: this thread goes before all others, where the system
    /// allows that. It does so to root; to others the proxy's lateness says what that costs.
    private static func takePrecedence() {
        var priority = sched_param()
        priority.sched_priority = sched_get_priority_min(Int32(SCHED_FIFO))
        _ = pthread_setschedparam(pthread_self(), Int32(SCHED_FIFO), &priority)
    }

    private func handle(_ event: epoll_event) {
        switch event.data {
        case Self.listenerTag: acceptAll()
        case Self.wakeTag, Self.timerTag: break
        case let tag:
            guard let link = links[tag >> 1] else { return }
            // The socket that the event is about is the source of one direction and the sink of the other.
            let (incoming, outgoing) = tag & 1 == 0 ? (link.toServer, link.toClient) : (link.toClient, link.toServer)
            let gone = EPOLLHUP | EPOLLERR
            if event.events & (gone | EPOLLRDHUP) != 0 { incoming.isHangingUp = true }
            if event.events & (gone | EPOLLRDHUP | EPOLLIN) != 0 { incoming.mayRead = true }
            if event.events & (gone | EPOLLOUT) != 0 { outgoing.mayWrite = true }
            read(incoming, of: link)
            write(outgoing, of: link)
        }
    }

    // MARK: Time

    private func releaseWhatIsDue() {
        guard queueStart < queue.count else { return }
        let now = nanoseconds(CLOCK_MONOTONIC)
        while queueStart < queue.count, queue[queueStart].dueNs <= now {
            let (dueNs, link, lane, item) = queue[queueStart]
            queueStart += 1
            if link.isClosed { continue }
            switch item {
            case .bytes(let count): lane.dueCount += count
            case .end: lane.isEndDue = true
            case .reset:
                close(link)
                continue
            }
            write(lane, of: link)
            // If the other side takes nothing just now, what follows is its delay and not ours.
            if case .bytes = item { lateness.record(nanoseconds(CLOCK_MONOTONIC) - dueNs) }
        }
        if queueStart == queue.count {
            queue.removeAll(keepingCapacity: true)
            queueStart = 0
        } else if queueStart > 4_096 {
            queue.removeFirst(queueStart)
            queueStart = 0
        }
    }

    /// - Returns: how long `epoll_wait` may sleep: for ever, because the timer wakes it, or not at all.
    private func setTimer() -> Int32 {
        guard queueStart < queue.count else { return -1 }
        let dueNs = queue[queueStart].dueNs
        guard dueNs > nanoseconds(CLOCK_MONOTONIC) else { return 0 }
        if dueNs != timerIsSetTo {
            // A timer of its own, because the timeout of `epoll_wait` has whole milliseconds only, and slack.
            var setting = timer_setting(
                interval_s: 0, interval_ns: 0, value_s: dueNs / 1_000_000_000, value_ns: dueNs % 1_000_000_000)
            timerfd_settime(timer, Int32(TFD_TIMER_ABSTIME), &setting, nil)
            timerIsSetTo = dueNs
        }
        return -1
    }

    // MARK: Bytes

    private func finishTurns() {
        guard !unfinished.isEmpty else { return }
        let turns = unfinished
        unfinished.removeAll(keepingCapacity: true)
        for (link, lane) in turns where !link.isClosed { read(lane, of: link) }
    }

    private func read(_ lane: Lane, of link: Link) {
        var turns = 0
        while lane.mayRead, !lane.hasEnded, !lane.ring.isFull {
            guard turns < Self.readsPerTurn else {
                unfinished.append((link, lane))
                return
            }
            turns += 1
            let (result, asked) = lane.ring.read(from: lane.source)
            if result > 0 {
                shared.count(result, isToServer: lane.isToServer)
                enqueue(.bytes(result), lane, link)
                // Less than asked for is all there was, and the kernel will tell of more; of an end it has told already.
                if result < asked, !lane.isHangingUp { lane.mayRead = false }
            } else if result == 0 {
                lane.hasEnded = true
                enqueue(.end, lane, link)
            } else if errno == EAGAIN {
                lane.mayRead = false
            } else if errno != EINTR {
                lane.hasEnded = true
                enqueue(.reset, lane, link)
            }
        }
    }

    private func write(_ lane: Lane, of link: Link) {
        if link.isClosed { return }
        let wasFull = lane.ring.isFull
        while lane.dueCount > 0, lane.mayWrite || lane.isBroken {
            let result = lane.isBroken ? -1 : lane.ring.write(to: lane.sink, atMost: lane.dueCount)
            if result > 0 {
                lane.dueCount -= result
            } else if lane.isBroken {
                lane.ring.drop(lane.dueCount)
                lane.dueCount = 0
            } else if errno == EAGAIN {
                lane.mayWrite = false
            } else if errno != EINTR {
                lane.isBroken = true
            }
        }
        if lane.isEndDue, lane.dueCount == 0, !lane.isDone {
            lane.isDone = true
            shutdown(lane.sink, Int32(SHUT_WR))
            if link.toServer.isDone, link.toClient.isDone { return close(link) }
        }
        if wasFull, !lane.ring.isFull { read(lane, of: link) }
    }

    private func enqueue(_ item: Item, _ lane: Lane, _ link: Link) {
        queue.append((nanoseconds(CLOCK_MONOTONIC) + delayNs, link, lane, item))
    }

    // MARK: Connections

    private func acceptAll() {
        while true {
            let client = accept(listener, nil, nil)
            guard client >= 0 else {
                if errno == EINTR || errno == ECONNABORTED { continue }
                // Without descriptors the listener would report itself for ever; the next closed connection makes room.
                if errno != EAGAIN { pauseAccepting() }
                return
            }
            open(client)
        }
    }

    private func pauseAccepting() {
        if links.isEmpty {
            usleep(10_000)
        } else {
            isAccepting = false
            epoll_ctl(poll, Int32(EPOLL_CTL_DEL), listener, nil)
        }
    }

    private func open(_ client: Int32) {
        _ = fcntl(client, F_SETFD, FD_CLOEXEC)
        _ = fcntl(client, F_SETFL, O_NONBLOCK)
        let server = Self.makeSocket(target.family)
        guard server >= 0 else {
            Glibc.close(client)
            return
        }
        if target.family != AF_UNIX {
            // Whatever is due goes out now: libpq and the server do the same.
            var on: Int32 = 1
            setsockopt(server, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
        }
        let status = target.with { connect(server, $0, $1) }
        let link = Link(id: nextID, client: client, server: server)
        nextID += 1
        links[link.id] = link
        // A server that isn't there looks like a server that closes at once, after the time that word of it takes.
        let isConnected = status == 0 || errno == EINPROGRESS
        let both = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
        guard isConnected, watch(client, both, tag: link.id << 1), watch(server, both, tag: link.id << 1 | 1) else {
            return close(link)
        }
        shared.connectionCount.add(1, ordering: .relaxed)
    }

    /// Closing a Unix socket with unread bytes, or a connection whose peer still writes, is a reset for the peer.
    private func close(_ link: Link) {
        guard !link.isClosed else { return }
        link.isClosed = true
        links[link.id] = nil
        Glibc.close(link.toServer.source)
        Glibc.close(link.toClient.source)
        if !isAccepting { isAccepting = watch(listener, EPOLLIN, tag: Self.listenerTag) }
    }

    private func watch(_ descriptor: Int32, _ events: UInt32, tag: UInt64) -> Bool {
        var event = epoll_event(events: events, data: tag)
        return epoll_ctl(poll, Int32(EPOLL_CTL_ADD), descriptor, &event) == 0
    }

    private static func makeSocket(_ family: Int32) -> Int32 {
        socket(
            family, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    }
}

private func nanoseconds(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
