// SPDX-License-Identifier: MIT

@main
struct RotatorServer {
    static func main() {}
}
