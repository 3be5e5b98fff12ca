// Where the tests keep their clusters and files for as long as they run.

import Glibc

public enum TestFolder {
    /// In memory where there is room: making, copying and deleting clusters is most of what the tests ask of a disk, and took
    /// half of the processor time of PostgreSQL on one. Elsewhere /tmp, as in a container with a small /dev/shm.
    public static let root: String = {
        var status = statvfs()
        let hasRoom =
            statvfs("/dev/shm", &status) == 0 && UInt64(status.f_bavail) * UInt64(status.f_frsize) >= bytesWanted
        return hasRoom && access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp"
    }()

    private static let bytesWanted: UInt64 = 8 << 30
}
