// SPDX-License-Identifier: MIT

import Foundation
import RotatorCore
import Testing

@testable import RotatorStore

@Suite("Reading a MySQL dump") struct ImportDumpTests {
    /// The rows of the wanted tables as lines of `table: column=value`, columns by name.
    private func rows(_ dump: String, columns: [String] = ["id", "key_value"]) throws -> [String] {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/dump.sql"
        try dump.write(toFile: path, atomically: false, encoding: .utf8)
        return try rows(at: path, columns: columns)
    }

    private func rows(at path: String, columns: [String]) throws -> [String] {
        var found: [String] = []
        var parser = MySQLDumpParser(try FileText(path: path), path: path)
        try parser.parse { table, row in
            let cells = columns.map { column in
                switch row[column] {
                case .null: "\(column)=NULL"
                case .unreadable: "\(column)=?"
                case .octets(let octets): "\(column)=" + String(decoding: octets, as: UTF8.self)
                }
            }
            found.append("\(table): " + cells.joined(separator: " "))
        }
        return found
    }

    @Test(arguments: [
        ("'plain'", "plain"), ("'it''s'", "it's"), (#"'it\'s'"#, "it's"), (#"'a\\b'"#, #"a\b"#), (#"'a\nb\tc\rd'"#, "a\nb\tc\rd"), (#"'a\0b'"#, "a\0b"),
        (#""double""#, "double"), (#""a""b'c""#, #"a"b'c"#), ("';,)('", ";,)("), ("'-- no /* comment */ # here'", "-- no /* comment */ # here"), ("12", "12"),
        ("-1.5e3", "-1.5e3"), ("0x61626364", "abcd"), ("X'6162'", "ab"), ("x'6162'", "ab"), ("_binary 'ab'", "ab"), ("_utf8mb4'ü'", "ü"), ("_binary 0x6162", "ab"),
        ("N'ab'", "ab"), ("b'1'", "1"), ("0b101", "5"), ("TRUE", "1"), ("false", "0"), ("NULL", "NULL"), ("null", "NULL"), ("CURRENT_TIMESTAMP", "?"),
        ("CONCAT('a', 'b)')", "?"), ("'a' 'b'", "?"), ("( 'a' )", "?"), ("/* c */ 'ab' /* d */", "ab"), ("''", ""),
    ])
    func `a value is read in every form that a dump may write it`(_ text: String, _ value: String) throws {
        #expect(try rows("INSERT INTO `api_keys` (`id`,`key_value`) VALUES (1,\(text)),(2,'next');") == ["api_keys: id=1 key_value=\(value)", "api_keys: id=2 key_value=next"])
    }

    @Test(arguments: [
        "INSERT INTO api_keys (id, key_value) VALUES (1,'a');", "insert into `db`.`api_keys`(`id`,`key_value`)values(1,'a');",
        "INSERT IGNORE INTO \"api_keys\" (\"id\",\"key_value\") VALUES (1,'a') ;", "REPLACE INTO `API_KEYS` (`ID`,`Key_Value`) VALUES (1,'a');",
        "INSERT INTO `api_keys` (`id`,`key_value`) VALUES (1,'a') ON DUPLICATE KEY UPDATE `key_value`='b;c';",
        "CREATE TABLE `api_keys` (`id` int(11) NOT NULL DEFAULT '0,1' COMMENT 'a, b) c', `key_value` decimal(10,2), PRIMARY KEY (`id`), KEY `k` (`id`,`key_value`),"
            + " CONSTRAINT `c` FOREIGN KEY (`id`) REFERENCES `x` (`y`)) ENGINE=InnoDB COMMENT=');';\nINSERT INTO `api_keys` VALUES (1,'a');",
        "CREATE TABLE IF NOT EXISTS api_keys (id int, key_value text);\nINSERT INTO api_keys VALUES (1,'a');",
        "\u{FEFF}-- first\n# second\n/* third; */ /*!40101 SET NAMES utf8 */;\n\r\nINSERT INTO `api_keys` (`id`,`key_value`)\r\nVALUES\r\n(1,'a');\r\n",
    ])
    func `a statement is understood however it is written`(_ dump: String) throws {
        #expect(try rows(dump) == ["api_keys: id=1 key_value=a"])
    }

    @Test func `what is no row of the two tables is passed by, whatever it looks like`() throws {
        let dump = """
            SET @x = 'INSERT INTO `api_keys` VALUES (9,''no'');';
            INSERT INTO `other` VALUES (1,'); INSERT INTO `api_keys` VALUES (8,\\'no\\');',"x\\";");
            CREATE VIEW v AS SELECT ';' FROM `a;b`; -- INSERT INTO `api_keys` VALUES (7,'no');
            /*!50003 CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW INSERT INTO `api_keys` VALUES (6,'no') */;
            DELIMITER ;;
            CREATE PROCEDURE p() BEGIN INSERT INTO `api_keys` VALUES (5,'no'); END;;
            DELIMITER $$
            INSERT INTO `api_keys` VALUES (4,'no'); $$
            DELIMITER ;
            UPDATE t SET a = 1 - -1, b = 5 --2;
            INSERT INTO `api_keys` (`id`,`key_value`) VALUES (1,'yes');
            """
        #expect(try rows(dump) == ["api_keys: id=1 key_value=yes"])
    }

    @Test func `rows are the same however the file falls into the pieces that are read`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/dump.sql"
        let rowsOfOne = (1...40).map { #"(\#($0),'k\#($0)\'\\')"# }.joined(separator: ",")
        let statement = "/* c */ INSERT INTO `api_keys` (`id`,`key_value`) VALUES \(rowsOfOne);\n"
        let expected = (1...40).map { #"api_keys: id=\#($0) key_value=k\#($0)'\"# }
        // Pieces are 256 KiB: the end of one is put at every place of the statement.
        for place in stride(from: 0, to: statement.utf8.count, by: 3) {
            let padding = "-- " + String(repeating: "x", count: 262_144 - 4 - place) + "\n"
            try (padding + statement).write(toFile: path, atomically: false, encoding: .utf8)
            try #require(try rows(at: path, columns: ["id", "key_value"]) == expected, "cut at \(place)")
        }
    }

    @Test(arguments: [
        ("INSERT INTO `api_keys` (`id`) VALUES (1),(2", "cut"), ("INSERT INTO `api_keys` (`id`) VALUES (1)", "cut"), ("INSERT INTO `api_keys` (`id`) VALUES ('sk-sec", "cut"),
        ("INSERT INTO `api_keys` VALUES (1,'sk-secret');", "no CREATE TABLE"), ("INSERT INTO `api_keys` (`id`,`key_value`) VALUES (1,'sk-secret',3);", "3 values for 2 columns"),
        ("\nINSERT INTO `api_keys` (`id`) SELECT 'sk-secret';", "line 2"), ("INSERT INTO `api_keys` (`id`) VALUES (1;'sk-secret');", "no end"), ("/* never ended", "cut"),
    ])
    func `a dump that is cut or malformed is told with its line and without its content`(_ dump: String, _ words: String) throws {
        let error = #expect(throws: StoreError.self) { _ = try rows(dump) }
        #expect(error?.code == .damaged)
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("sk-sec") == false)
    }

    @Test func `a dump in UTF-16, a compressed one and one of another program are told apart`() throws {
        let directory = try TemporaryDirectory()
        for (name, octets, words) in [("a", [0xFF, 0xFE, 0x2D, 0x00], "UTF-16"), ("b", [0x1F, 0x8B, 0x08], "compressed"), ("c", Array("SELECT 1;".utf8), "proxy_configs")] {
            let path = "\(directory.path)/\(name)"
            try Data(octets as [UInt8]).write(to: URL(fileURLWithPath: path))
            let error = #expect(throws: StoreError.self) { _ = try MySQLDump.catalogue(at: path) { _ in nil } }
            #expect(error?.code == .misconfigured && error?.message.contains(words) == true)
        }
    }

    @Test func `a dump without mysqldump's last line is taken, with a warning`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/dump.sql"
        let dump = "INSERT INTO proxy_configs (id,slug,name,config_type,target_base_url) VALUES (1,'s','S','LLM','http://h/v1');\n"
        try dump.write(toFile: path, atomically: false, encoding: .utf8)
        #expect(try MySQLDump.catalogue(at: path) { _ in nil }.notes.contains { $0.contains("Dump completed") })
        try (dump + "-- Dump completed on 2025-11-20 10:00:00\n").write(toFile: path, atomically: false, encoding: .utf8)
        let whole = try MySQLDump.catalogue(at: path) { _ in nil }
        #expect(whole.notes.isEmpty && whole.services.map(\.configuration.slug) == ["s"])
    }
}
