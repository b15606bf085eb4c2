"""The words of replies, in English and Portuguese, in small letters and without accents."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEGATIONS = _words(
    "no not none nope nah never neither nor nothing nobody without cannot cant wont dont doesnt "
    "didnt isnt arent "
    "couldnt wouldnt unable impossible decline declined declining unfortunately except hardly "
    "nao nunca nenhum nenhuma nem sem nada jamais ninguem impossivel recuso infelizmente exceto"
)
"""With one of these, besides what is an idiom, a text is never a yes and never picks a time."""

CONTRASTS = _words(
    "but however although though unless if only instead rather otherwise until before after than "
    "mas porem contudo embora se so apenas senao antes depois ate"
)
"""With one of these a yes may be none."""

IDIOMS = re.compile(
    r"\b(no|not a|not any) (problem|worries|issue)s?( at all)?\b|\b(sem|nao ha) problemas?\b|\bno bother\b"
    r"|\b(i )?(can't|cannot) wait\b( to see you)?"
)
"""What holds a negation and means none."""

YES = _words(
    "yes yep yeah yup sure ok okay confirmed confirm confirming accept accepted agreed "
    "absolutely definitely "
    "perfect sim claro confirmo confirmado confirmada aceito combinado combinada certo certamente perfeito"
)
"""Each of these alone is a yes."""

YES_PHRASES = re.compile(
    r"\b((that|this|it|tuesday|time|which)( time| day)? (works|suits|is fine|is good|fits)"
    r"|works( fine| well| great)?"
    r"( for (me|us))?|suits me|(sounds|looks) (good|great|fine|perfect)|(that's|thats|all) (fine|good|ok)"
    r"|fine (for|by|with) me|see you (then|there)|(i'll|i will|we'll|we will) be there|(i"
    r"|we) can make it|count me in"
    r"|(i'm|i am) in|esta bem|pode ser|la estarei|estarei (la|presente)|con(te|ta) comigo|tudo bem|por mim"
    r"|da me jeito|(me )?serve( me)?|consigo (ir|estar))\b|^fine$|^esta bom$"
)

COURTESY = _words(
    "hi hello hey dear thanks thank you thx many much very great good morning afternoon evening "
    "night cheers "
    "best regards kind warm sincerely wishes all day week weekend have nice wonderful lovely "
    "looking forward to "
    "seeing meeting speaking talking soon see then there again so for your the a and message "
    "mail email reply "
    "getting back reaching out asking reminder letting me know everyone both "
    "ola oi viva bom boa bons dia tarde noite semana caro cara obrigado obrigada muito "
    "cumprimentos melhores "
    "abraco abracos atenciosamente cordialmente grato grata ate breve pela pelo mensagem "
    "resposta lembrete fim de "
    "com os as um uma"
)

FILLERS = _words(
    "sounds looks them those a an the i i'll i'd i'm am is it it's its that that's this these "
    "those be would will can could we we'll you "
    "me my us our for to do does make made let's lets go going with take choose pick picking "
    "prefer book works work "
    "working suit suits fits fit best better fine good great well nicely slot slots time times "
    "option options number "
    "numbers one ones meeting call on at of then there also too please here free available "
    "possible perfectly still "
    "definitely just say yes so and or see by it'd in as course count both "
    "o os um uma de da das do dos e ou para por no na nos nas em que me mim serve servem da dao "
    "jeito bem bom boa "
    "melhor opcao opcoes numero hora horas horario horarios posso podemos consigo pode ser seria "
    "fica ficamos escolho "
    "prefiro por favor tambem esta estou disponivel livre feira la estarei presente comigo conte "
    "conta tudo ir estar "
    "isso essa esse esta este disponiveis"
)
"""Words that change nothing about which time is meant."""

DAYS = {
    name: number
    for number, names in enumerate(
        (
            "monday mon segunda-feira seg",
            "tuesday tue tues terca terca-feira ter",
            "wednesday wed quarta-feira qua",
            "thursday thu thur thurs quinta-feira qui",
            "friday fri sexta-feira sex",
            "saturday sat sabado sab",
            "sunday sun domingo dom",
        )
    )
    for name in names.split()
}

DAYS_OR_PLACES = {"segunda": (0, 2), "quarta": (2, 4), "quinta": (3, 5), "sexta": (4, 6)}
"""Portuguese words for a day of the week and for a place in a list."""

PLACES = {
    name: number
    for number, names in enumerate(
        (
            "first 1st primeira primeiro 1a 1o",
            "second 2nd segundo 2a 2o",
            "third 3rd terceira terceiro 3a 3o",
            "fourth 4th quarto 4a 4o",
            "fifth 5th quinto 5a 5o",
            "sixth 6th sexto 6a 6o",
        ),
        start=1,
    )
    for name in names.split()
}

COUNTS = {
    name: number
    for number, names in enumerate(
        ("two dois duas", "three tres", "four quatro", "five cinco", "six seis"), start=2
    )
    for name in names.split()
}

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan janeiro",
            "february feb fevereiro fev",
            "march mar marco",
            "april apr abril abr",
            "may maio",
            "june jun junho",
            "july jul julho",
            "august aug agosto ago",
            "september sep sept setembro set",
            "october oct outubro out",
            "november nov novembro",
            "december dec dezembro dez",
        ),
        start=1,
    )
    for name in names.split()
}

ALL = _words("all any both either everything qualquer ambas ambos todas todos")
PAIRS = _words("both either ambas ambos")
SUITING = _words(
    "work works suit suits fine good ok okay possible do fit servem serve dao da convem bem great"
)

LAST = _words("last ultima ultimo")

STOP = re.compile(
    r"(no |no thanks |no thank you |yes |ok )?(please )?(stop( it| this)?|unsubscribe"
    r"|remove me|parar|parem|pare"
    r"|descadastrar|sair)( me)?( from (this|the|your) list)?"
    r"( (these|this|your|the|estes|os) (mails?|emails?|e-mails?|messages|mensagens))?"
    r"( (e?mailing|writing|sending|contacting)( to)?( me)?( (mails?|emails?|messages))?)?( please"
    r"| por favor)?"
    r"|(please )?(do not|don't|no) (write|mail|email|e-mail|contact)( to)? me( again| any ?more)?"
    r"|(please )?no more (mails?|emails?|e-mails?|messages)( please)?"
    r"|(por favor )?nao me (escreva|escrevam|envie|enviem)( mais)?( (mails?|emails?|e-mails?|mensagens))?"
)

_SORRY = (
    r"(?:(?:sorry|unfortunately|sadly|i'm afraid|i am afraid|i'm sorry|i am sorry|no|oh|hi|thanks|that) )*"
)
_THEN = (
    r"(?: (?:unfortunately|sorry|then|anymore|today|tomorrow|this time|this week|(?:on"
    r"|at)? ?that (?:day|time)"
    r"|for me|for us|either|i'm afraid|i am afraid|after all))*"
)
_COMING = (
    r"(?: (?:make|do)(?: it| that| this)?(?: (?:one|time|day|date|slot))?| attend| come| be there| join"
    r"|(?: to)? (?:the|this|our|your) (?:meeting|call)| there)*"
)
NO = re.compile(
    rf"(?:{_SORRY}(?:i|we) (?:can't|cannot|cant|can not|won't|wont|will not|couldn't|am unable to"
    rf"|are unable to"
    r"|am not able to|won't be able to|will not be able to|don't think i can|have to decline"
    r"|must decline|decline)"
    rf"{_COMING}{_THEN}"
    r"|(?:i'm|i am|we are|we're) (?:not|unable to)"
    rf"(?: (?:available|free|able to|going to|coming))?{_COMING}{_THEN}"
    rf"|{_SORRY}(?:(?:that|this|it|the)(?: (?:time|day|date|one|slot))? )?(?:doesn't|doesnt"
    rf"|does not|won't|will not"
    rf"|isn't going to|is not going to) (?:work|suit|fit)(?: me)?{_THEN}"
    rf"|{_SORRY}(?:that|this|it)(?: (?:time|day))? (?:is not|isn't) (?:possible|good|convenient|ok){_THEN}"
    rf"|{_SORRY}not (?:possible|available|able to(?: make it| attend| come)?|this time|coming|free){_THEN}"
    r"|(?:no|nope|nah|decline|declined|unfortunately not|unfortunately no|sorry no|no sorry|no thanks"
    r"|no thank you)"
    r"|(?:(?:infelizmente|desculpe|desculpa|lamento) )*nao(?: (?:obrigad[oa]|posso|consigo|da|me"
    r"|jeito|estou|vou|poder"
    r"|conseguir|poderei|disponivel|livre|e|possivel|serve|vai|dar|ir|estar|presente|comparecer"
    r"|nesse|nessa|neste"
    r"|nesta|a|essa|esta|dia|hora|horario|infelizmente|desculpe|desculpa))*"
    r"|infelizmente nao)"
)

NONE_OF_THESE = re.compile(
    rf"{_SORRY}none(?: of (?:these|those|them|the|your))?(?: (?:times|options|slots|dates))?"
    rf"(?: (?:work|works|suit|suits|fit|fits|is|are|do|does|will|would|possible|good|me))*{_THEN}"
    rf"|{_SORRY}neither(?: of (?:these|those|them))?(?: (?:work|works|suit|suits|fit|fits|me))*{_THEN}"
    rf"|{_SORRY}(?:these|those|they)(?: times)? (?:don't|dont|do not|won't) (?:work|suit"
    rf"|fit)(?: me)?{_THEN}"
    r"|(?:infelizmente )?nenhum[a]?(?: d(?:estas|essas|as|estes|esses|os|elas|eles))?(?: (?:horas"
    r"|opcoes|datas|horarios))?"
    r"(?: (?:me|serve|da|jeito|convem|e|possivel|infelizmente))*"
)

WISHES = re.compile(
    r"\b(how|what) about\b|\b(can|could|may|shall|might) (we|you|i) (please )?(do|make|meet|move"
    r"|have|say|try|talk|speak"
    r"|push|shift|start|schedule|reschedule|postpone|change)\b"
    r"|\b(another|other|different|alternative|later|earlier) (time|day|date|week|slot|one)s?\b|\binstead\b"
    r"|\b(i'd|i would|would) (rather|prefer)\b|\b(i|we|i'd|we'd) prefer\b"
    r"|\b(postpone|reschedule|rebook)\b|\bnext week\b"
    r"|\bwould\b.{0,60}\b(work|suit|be (possible|better|ok|okay|fine))\b|\bfree (on|at|next|from"
    r"|after|only)\b"
    r"|\b(works?|suits?|fits?) (better|best)\b"
    r"|\bque tal\b|\be se (fosse|fossemos)\b|\b(podemos|podiamos|poderiamos|pode ser|podia ser"
    r"|seria possivel)\b"
    r"|\boutr[oa] (hora|dia|data|horario|altura|semana)\b|\bnoutr[oa] (hora|dia|data|altura)\b"
    r"|\b(prefiro|preferia)\b"
    r"|\b(adiar|remarcar|reagendar)\b|\bproxima semana\b|\bsemana que vem\b|\bmais (tarde|cedo)\b"
)
"""Somebody asks for another time."""

TIMELY = re.compile(
    r"\d|\b(tomorrow|today|tonight|morning|afternoon|evening|noon|week|later|earlier|(another"
    r"|other|different) (time|day"
    r"|date|slot)|month|amanha|hoje|manha|tarde|noite|semana|mais cedo|(outr|noutr)[oa] (hora|dia"
    r"|data|horario|altura)"
    r"|mes|reschedule|rebook|postpone|adiar|remarcar|reagendar)\b|\b("
    + "|".join(sorted({*DAYS, *DAYS_OR_PLACES}, key=len, reverse=True))
    + r")s?\b"
)
"""Something in it is about time."""

HELD = re.compile(
    r"held|yes|yes it (did|was)|(yes )?(it|they all|all|both) (took place|happened|was held"
    r"|were held)|took place"
    r"|all held|we (all )?met|it did|sim|sim aconteceu|aconteceu|realizou se|realizou-se|decorreu"
    r"|teve lugar"
)
MISSED = re.compile(
    r"(they |all )?missed( it)?|no[- ]?show|(they|he|she|nobody|no one|the others) (did not"
    r"|didn't|never|has not)? ?"
    r"(come|came|show|showed|join|joined|attend|attended|turn|turned)( up)?"
    r"|(eles |elas |ele |ela )?(faltaram|faltou)|(eles |elas |ele |ela )?nao (vieram|veio"
    r"|apareceram|apareceu)"
    r"|ninguem (veio|apareceu)"
)
MISSED_BY_ME = re.compile(
    r"missed[- ]by[- ]me|i missed (it|this|that|them)|i (did not|didn't|could not|couldn't) (come"
    r"|make it|attend|join|go)"
    r"|i (was not|wasn't) there|(eu )?faltei|(eu )?nao (fui|pude ir|apareci|compareci|estive la)"
)
