// Which folders a cluster can really have: those that were asked for, or substitutes that its user reaches.

internal import Diagnostics
internal import Glibc

/// The folders of one cluster, made and given to its user.
struct ClusterPlace {
    let dataFolder: String
    let socketFolder: String
    let user: ServerUser
    let notes: [String]

    /// "sun_path" holds 108 bytes with its end, and the socket's own name is the last part.
    static let socketPathSizeMax = 107

    init(dataFolder wantedData: String, socketFolder wantedSocket: String) throws(OperatingError) {
        var notes: [String] = []
        var data = resolved(wantedData)
        var user = try ServerUser.choose(for: data)
        try makeParents(of: data)
        let home = Self.substitute(for: wantedData)
        if !user.canPass(parent(of: data)) {
            try makeFolder(home, mode: 0o700, owner: user)
            data = home + "/data"
            user = try ServerUser.choose(for: data)
            notes.append("the user \(user.name) can't reach \(wantedData): the cluster is in \(data)")
        }
        guard Self.isCluster(data) || folderEntries(data).isEmpty else {
            throw OperatingError(
                "\(data) holds something else than a cluster of allocbench",
                remedy: "name a folder that is empty or doesn't exist")
        }
        var socket = resolved(wantedSocket)
        try makeParents(of: socket)
        let isTooLong = (socket + "/.s.PGSQL.5432").utf8.count > Self.socketPathSizeMax
        if isTooLong || socket.contains(",") {
            socket = Self.shortFolder(for: wantedSocket)
            // In a connection text a comma would start another host.
            let reason = isTooLong ? "is too long" : "has a comma, which is no good"
            notes.append("the path of \(wantedSocket) \(reason) for a socket: it is in \(socket)")
        } else if !user.canPass(parent(of: socket)) {
            try makeFolder(home, mode: 0o700, owner: user)
            socket = home + "/socket"
            notes.append("the user \(user.name) can't reach \(wantedSocket): the socket is in \(socket)")
        }
        guard folderEntries(socket).allSatisfy({ $0.hasPrefix(".s.PGSQL.") }) else {
            throw OperatingError("\(socket) holds something else than a socket", remedy: "name a folder of its own")
        }
        try makeFolder(socket, mode: 0o700, owner: user)
        (dataFolder, socketFolder, self.user, self.notes) = (data, socket, user, notes)
    }

    /// The folder that stands in for `path`: the same one every time, so that its cluster is found again.
    private static func substitute(for path: String) -> String {
        "/var/tmp/allocbench-\(geteuid())-\(hash(of: path))"
    }

    /// The substitute that `dataFolder` is in, if it is in one.
    static func substitute(holding dataFolder: String) -> String? {
        let home = parent(of: dataFolder)
        return home.hasPrefix("/var/tmp/allocbench-") ? home : nil
    }

    /// /run/user is closed to others by itself; root's server runs as somebody who can't pass it.
    private static func shortFolder(for path: String) -> String {
        let own = "/run/user/\(geteuid())"
        let place = geteuid() != 0 && access(own, W_OK) == 0 ? own : "/tmp"
        return "\(place)/allocbench-\(geteuid())-\(hash(of: path))"
    }

    /// In every cluster of ours, to tell it from others, which are none of our business.
    static let marker = "allocbench-cluster"

    static func isCluster(_ folder: String) -> Bool { fileSize("\(folder)/\(marker)") > 0 }

    /// FNV-1a of 64 bits: a name, not a protection.
    private static func hash(of path: String) -> String {
        let value = path.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
        return String(value, radix: 16)
    }
}

/// Makes a folder, or takes one that is there, and gives it to `owner` with exactly `mode`.
/// One that belongs to somebody else, or a link, is refused: in /tmp anybody could have put it there.
func makeFolder(_ path: String, mode: mode_t, owner: ServerUser) throws(OperatingError) {
    if mkdir(path, mode) != 0 {
        guard errno == EEXIST else { throw .system("make the folder \(path)") }
        var status = stat()
        guard lstat(path, &status) == 0 else { throw .system("look at \(path)") }
        guard status.st_mode & S_IFMT == S_IFDIR, [geteuid(), owner.uid].contains(status.st_uid) else {
            throw OperatingError("\(path) isn't a folder of ours", remedy: "remove it")
        }
    }
    if !owner.isOurselves, lchown(path, owner.uid, owner.gid) != 0 { throw .system("give \(path) to \(owner.name)") }
    guard chmod(path, mode) == 0 else { throw .system("set the mode of \(path)") }
}

/// Makes the folders above `path` that are missing, open to all as `mkdir -p` does.
func makeParents(of path: String) throws(OperatingError) {
    var parent = ""
    for name in path.split(separator: "/").dropLast() {
        parent += "/" + name
        guard mkdir(parent, 0o755) == 0 || errno == EEXIST else { throw .system("make the folder \(parent)") }
    }
}

/// The path from the root, without looking at what is there.
func absolutePath(_ path: String) -> String {
    guard !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
    defer { free(folder) }
    return String(cString: folder) + "/" + path
}

/// The path without links and dots, as /proc shows it; a part that isn't there yet stays as it is.
private func resolved(_ path: String) -> String {
    if let real = realpath(path, nil) {
        defer { free(real) }
        return String(cString: real)
    }
    let names = path.split(separator: "/")
    guard let last = names.last, names.count > 1 else { return path }
    return resolved("/" + names.dropLast().joined(separator: "/")) + "/" + last
}

private func parent(of path: String) -> String {
    "/" + path.split(separator: "/").dropLast().joined(separator: "/")
}

func removeTree(_ path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    // A failure shows when the folder is made anew.
    _ = try? ChildProcess.run(["rm", "-rf", "--one-file-system", "--", path])
}

func fileSize(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
}

func fileOwner(_ path: String) -> uid_t? {
    var status = stat()
    return stat(path, &status) == 0 ? status.st_uid : nil
}

/// The names in a folder, nothing if there is no such folder.
func folderEntries(_ path: String) -> [String] {
    guard let folder = opendir(path) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name != "." && name != ".." { names.append(name) }
    }
    return names
}
