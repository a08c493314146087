# A mail server that keeps what it gets: each mail in a file, and a line on the standard output for it.
#
#   mail_sink.py FOLDER plain|starttls|tls
#
# The encrypted forms read FOLDER/leaf.pem and FOLDER/leaf.key, and want the account "weir" with the password "sesame".
import asyncio
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

folder = pathlib.Path(sys.argv[1])
protection = sys.argv[2]


class Keeper:
    def __init__(self):
        self.count = 0

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        path = folder / f"{self.count}.eml"
        path.write_bytes(envelope.content)
        print(f"mail {path}", flush=True)
        return "250 kept"


def authenticate(server, session, envelope, mechanism, data):
    is_right = (data.login, data.password) == (b"weir", b"sesame")
    return AuthResult(success=is_right, handled=True)


def protocol(keeper, context):
    account = {"authenticator": authenticate, "auth_required": True}
    if protection == "starttls":
        return SMTP(keeper, tls_context=context, require_starttls=True, **account)
    if protection == "tls":
        # Encrypted from the first byte, of which the protocol itself knows nothing.
        return SMTP(keeper, auth_require_tls=False, **account)
    return SMTP(keeper)


async def main():
    context = None
    if protection != "plain":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(folder / "leaf.pem", folder / "leaf.key")
    keeper = Keeper()
    wrapped = context if protection == "tls" else None
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol(keeper, context), "127.0.0.1", 0, ssl=wrapped)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main())
