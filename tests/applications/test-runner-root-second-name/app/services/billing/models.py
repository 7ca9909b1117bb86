from sqlalchemy import Column, Date, ForeignKey, Integer, String

from services.common.db import Base


class Invoice(Base):
    __tablename__ = "invoices"

    id = Column(Integer, primary_key=True)
    customer = Column(String(20), nullable=False)
    issued = Column(Date)


class InvoiceLine(Base):
    __tablename__ = "invoice_lines"

    id = Column(Integer, primary_key=True)
    invoice_id = Column(ForeignKey("invoices.id"), nullable=False)
    text = Column(String(80), nullable=False)
    cents = Column(Integer, nullable=False)
