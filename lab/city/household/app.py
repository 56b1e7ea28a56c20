"""The sample application of the second story: households, in the database it was given.

A connection a request, by the PG* variables of its environment: small applications do so, and it
follows a change of password as soon as its pods have the new one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
from flask import Flask, jsonify, redirect, render_template_string, request
from werkzeug.wrappers import Response

PAGE = """<!doctype html>
<html lang="zh-CN">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>低保家庭登记 · Households</title>
<style>
 body { font: 16px/1.6 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }
 td, th { text-align: left; padding: .2rem 1.5rem .2rem 0 } input { font: inherit; width: 16rem }
</style>
<h1>低保家庭登记 <small>Households</small></h1>
<p>共 {{ count }} 户 · {{ count }} households</p>
<form method="post">
 <label>情况说明 · Note <input name="note" maxlength="200" required></label>
 <button>登记 · Register</button>
</form>
<table>
 <tr><th>编号 · No.</th><th>情况说明 · Note</th></tr>
 {% for number, note in newest %}<tr><td>{{ number }}</td><td>{{ note }}</td></tr>{% endfor %}
</table>
"""

app = Flask(__name__)


@contextmanager
def database() -> Iterator[psycopg2.extensions.cursor]:
    """One transaction on a connection of its own."""
    with (
        closing(psycopg2.connect(connect_timeout=5)) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        yield cursor


@app.get("/")
def show() -> str:
    with database() as cursor:
        cursor.execute("SELECT count(*) FROM household")
        (count,) = cursor.fetchone()
        cursor.execute("SELECT id, note FROM household ORDER BY id DESC LIMIT 5")
        return render_template_string(PAGE, count=count, newest=cursor.fetchall())


@app.post("/")
def register() -> Response:
    note = request.form["note"].strip()[:200]
    with database() as cursor:
        cursor.execute("INSERT INTO household (note) VALUES (%s)", (note,))
    return redirect("/", 303)


@app.get("/count")
def count() -> Response:
    """For programs: how many, and by which account the database was asked."""
    with database() as cursor:
        cursor.execute("SELECT count(*), session_user FROM household")
        households, account = cursor.fetchone()
    return jsonify(households=households, account=account)


@app.get("/ready")
def ready() -> str:
    with database() as cursor:
        cursor.execute("SELECT 1")
    return "ready"
