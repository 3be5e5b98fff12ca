// How a run ends in order when the user asks for it: whoever may stop between two steps asks here.

import Threads

/// Thrown out of everything that is under way.
struct Interrupted: Error, CustomStringConvertible {
    let description = "interrupted"
}

func requireNotStopped(_ stop: StopFlag) throws {
    if stop.isSet { throw Interrupted() }
}
