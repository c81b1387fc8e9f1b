"""A name server on loopback that answers what a test tells it, by UDP, and by TCP where an answer is too long."""

import socketserver
import struct
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

UDP_OCTETS = 1232


class DnsServer:
    """zone: {(name, "TXT"): [values]}; names in `silent` are never answered, those in `failing` with SERVFAIL.

    A TXT value may be a tuple: the strings of one record.
    """

    def __init__(self):
        self.zone, self.silent, self.failing, self.asked = {}, set(), set(), []
        self._udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), self._handler(is_tcp=False))
        port = self._udp.server_address[1]
        self._tcp = socketserver.ThreadingTCPServer(("127.0.0.1", port), self._handler(is_tcp=True))
        self._tcp.daemon_threads = self._udp.daemon_threads = True
        for each in (self._udp, self._tcp):
            threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.address = f"127.0.0.1:{port}"

    def set(self, name, kind, *values, ttl=300):
        self.zone[name.lower(), kind] = (ttl, values)

    def drop(self, name, kind):
        self.zone.pop((name.lower(), kind), None)

    def close(self):
        for each in (self._udp, self._tcp):
            each.shutdown()
            each.server_close()

    def _handler(self, *, is_tcp):
        server = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                if is_tcp:
                    length = struct.unpack("!H", self.request.recv(2))[0]
                    answer = server._answer(self.request.recv(length), most=65535)
                    if answer:
                        self.request.sendall(struct.pack("!H", len(answer)) + answer)
                    return
                data, socket = self.request
                answer = server._answer(data, most=UDP_OCTETS)
                if answer:
                    socket.sendto(answer, self.client_address)

        return Handler

    def _answer(self, data, *, most):
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = (
            question.name.to_text(omit_final_dot=True).lower(),
            dns.rdatatype.to_text(question.rdtype),
        )
        self.asked.append((name, kind))
        if name in self.silent:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if name in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
            return response.to_wire()
        known = {each for each, _ in self.zone}
        self._fill(response, question.name, name, kind)
        if not response.answer and not any(each == name or each.endswith(f".{name}") for each in known):
            response.set_rcode(dns.rcode.NXDOMAIN)
        try:
            return response.to_wire(max_size=most)
        except dns.exception.TooBig:
            short = dns.message.make_response(query)
            short.flags |= dns.flags.TC
            return short.to_wire()

    def _fill(self, response, owner, name, kind):
        while kind != "CNAME" and (name, "CNAME") in self.zone:
            ttl, values = self.zone[name, "CNAME"]
            response.answer.append(dns.rrset.from_text(owner, ttl, "IN", "CNAME", f"{values[0]}."))
            name = values[0].lower()
            owner = dns.name.from_text(name)
        if (name, kind) in self.zone:
            ttl, values = self.zone[name, kind]
            texts = [_text(value, kind) for value in values]
            response.answer.append(dns.rrset.from_text(owner, ttl, "IN", kind, *texts))


def _text(value, kind):
    if kind == "TXT":
        strings = (
            value if isinstance(value, tuple) else [value[at : at + 60] for at in range(0, len(value), 60)]
        )
        return " ".join('"' + each.replace("\\", "\\\\").replace('"', '\\"') + '"' for each in strings)
    return value if kind in ("A", "AAAA") else f"{value}."
